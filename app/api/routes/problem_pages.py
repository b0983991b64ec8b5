"""The pages that the `type` of a problem leads to."""

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from app.api.errors import PATH
from app.api.problem_kinds import ProblemKind, problem_kinds
from app.core.errors import NotFound

router = APIRouter(prefix="/problems", tags=["problems"])

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} · CROSSAN</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}}</style></head>
<body>{body}</body></html>
"""
_HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
Slug = Annotated[str, Path(max_length=100, description="The last part of a problem's `type`.")]


class ProblemPage(BaseModel):
    """A kind of problem: what it means, and what to do."""

    type: str
    title: str
    status: int
    meaning: str
    advice: str


class ProblemList(BaseModel):
    """Every kind of problem."""

    problems: list[ProblemPage]


def _page(kind: ProblemKind) -> ProblemPage:
    return ProblemPage(
        type=PATH + kind.slug, title=kind.title, status=kind.status, meaning=kind.meaning, advice=kind.advice
    )


@router.get("", response_model=ProblemList, responses=_HTML)
async def list_problems(request: Request) -> Response:
    """Every kind of problem; as a page for a browser."""
    pages = [_page(kind) for kind in problem_kinds().values()]
    if not _wants_html(request):
        return JSONResponse(ProblemList(problems=pages).model_dump())
    lines = "".join(
        f'<li><a href="{escape(page.type)}">{escape(page.title)}</a> ({page.status})</li>' for page in pages
    )
    return HTMLResponse(_PAGE.format(title="Problems", body=f"<h1>Problems</h1><ul>{lines}</ul>"))


@router.get("/{slug}", response_model=ProblemPage, responses=_HTML)
async def read_problem(slug: Slug, request: Request) -> Response:
    """What a kind of problem means, and what to do; as a page for a browser."""
    kind = problem_kinds().get(slug)
    if kind is None:
        raise NotFound("There is no such kind of problem.")
    page = _page(kind)
    if not _wants_html(request):
        return JSONResponse(page.model_dump())
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in (page.meaning, page.advice))
    body = f"<h1>{escape(page.title)}</h1><p>Status {page.status} · <code>{escape(page.type)}</code></p>{paragraphs}"
    return HTMLResponse(_PAGE.format(title=escape(page.title), body=body))


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
