"""Which values a field has, for whoever writes a filter."""

from zirkel.core.filter_fields import FIELDS, FieldType
from zirkel.core.filters import FieldRef
from zirkel.core.search import Facet, SearchScope
from zirkel.store.telemetry.dimension_sql import dimension
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.field_sql import JSON_COLUMNS
from zirkel.store.telemetry.search_scope import WINDOW, filter_of, scope_parameters
from zirkel.store.telemetry.sql_text import filled

_VALUES = """
SELECT toString(found) AS value, count() AS count
FROM (SELECT FOUND AS found FROM spans FINAL WHERE WINDOW AND FILTER)
WHERE value != '' AND startsWith(lowerUTF8(value), lowerUTF8({start:String}))
GROUP BY value
ORDER BY count DESC, value
LIMIT {limit:UInt32}
"""

_SCORE_NAMES = """
SELECT name AS value, uniqExact(score_id) AS count
FROM scores
WHERE project_id = {project_id:String} AND startsWith(lowerUTF8(name), lowerUTF8({start:String}))
GROUP BY name
ORDER BY count DESC, value
LIMIT {limit:UInt32}
"""


def facets(engine: Engine, scope: SearchScope, field: FieldRef, prefix: str, limit: int) -> list[Facet]:
    """Return the values of a field with how many spans have each, as ``TelemetrySearch.facets`` says."""
    spec = FIELDS[field.name]
    wanted: dict[str, Parameter] = {"start": prefix, "limit": limit}
    if spec.type is FieldType.SCORE and not field.key:
        return engine.rows(_SCORE_NAMES, {"project_id": scope.project_id, **wanted}, Facet)
    if spec.type is FieldType.JSON and not field.key:
        found, bound = f"arrayJoin(mapKeys({JSON_COLUMNS[field.name]}))", dict[str, Parameter]()
    else:
        found, bound = dimension(field, "key")
    compiled = filter_of(scope)
    query = filled(_VALUES, {"FOUND": found, "WINDOW": WINDOW, "FILTER": compiled.sql})
    return engine.rows(query, {**scope_parameters(scope), **compiled.parameters, **bound, **wanted}, Facet)
