"""Item vectors can be read by pgvector, where an operator wants that: a function and nothing else."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SUBNORMAL, INFINITE = 0, 255
"""Exponents whose numbers count as 0: too small to matter, and none at all."""
FRACTION_BITS = 15
"""Of 23: the two upper bytes of the fraction. PostgreSQL only proposes items, which are scored with the vectors."""
BIAS = 127


def upgrade() -> None:
    scales = ",".join(repr(_scale(sign, exponent)) for sign in (1.0, -1.0) for exponent in range(256))
    op.execute(f"""
    CREATE FUNCTION searchable_floats(raw bytea) RETURNS real[] IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
        SELECT ARRAY(
            SELECT (
                ('{{{scales}}}'::float8[])[((get_byte(raw, at + 3) << 1) | (get_byte(raw, at + 2) >> 7)) + 1]
                * (((get_byte(raw, at + 2) | 128) << 8) | get_byte(raw, at + 1))
            )::real
            FROM generate_series(0, length(raw) - 4, 4) AS at
        )
    $$
    """)


def downgrade() -> None:
    # With the graphs that are built on it.
    op.execute("DROP FUNCTION searchable_floats(bytea) CASCADE")


def _scale(sign: float, exponent: int) -> float:
    """What the lowest bit of a fraction of an fp32 number is worth."""
    if exponent in (SUBNORMAL, INFINITE):
        return 0.0
    return float(sign * 2.0 ** (exponent - BIAS - FRACTION_BITS))
