"""Fields as SQL expressions of one text, by which spans are split."""

from zirkel.core import Invalid
from zirkel.core.filter_fields import FieldType, field_spec
from zirkel.core.filters import FieldRef
from zirkel.store.telemetry.engine import Parameter
from zirkel.store.telemetry.field_sql import EXPRESSIONS, JSON_COLUMNS, MODEL


def dimension(field: FieldRef, name: str) -> tuple[str, dict[str, Parameter]]:
    """Return the expression whose text value a field has in a span, empty if it has none, and what it binds.

    A list gives a row for each of its elements. A JSON text is without its quotes.

    Args:
        field: The field.
        name: Name of the parameter that it may bind.

    Raises:
        Invalid: If spans cannot be split by the field.
    """
    spec = field_spec(field)
    if spec.type is FieldType.JSON:
        found = f"{JSON_COLUMNS[field.name]}[{{{name}:String}}]"
        return f"if(startsWith({found}, '\"'), JSONExtractString({found}), {found})", {name: field.key}
    expression = MODEL if field.name == "model" else EXPRESSIONS.get(field.name, ("",))[0]
    if spec.type in (FieldType.TEXT, FieldType.CHOICE):
        return expression, {}
    if spec.type is FieldType.FLAG:
        return f"if({expression}, 'true', 'false')", {}
    if spec.type is FieldType.LIST:
        return f"arrayJoin(if(empty({expression}), [''], {expression}))", {}
    raise Invalid(f"{field.name!r} is a {spec.type.value}, which nothing can be split by")
