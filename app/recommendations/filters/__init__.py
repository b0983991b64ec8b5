"""The filter language: a typed tree parsed from text, evaluated column by column, never run as code."""

from app.recommendations.filters.parser import parse
from app.recommendations.filters.syntax import Filter

__all__ = ["Filter", "parse"]
