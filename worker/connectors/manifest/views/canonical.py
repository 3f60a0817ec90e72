"""Which unified models are there, and which fields have they? The words in which all systems are read alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CanonicalField:
    """One field: what kind of value it holds, and for an enumeration, which."""

    kind: str = "text"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of thing. `lines` are the fields of its lines, where it has any."""

    name: str
    fields: Mapping[str, CanonicalField]
    lines: Mapping[str, CanonicalField] = field(default_factory=dict)


def _fields(words: str) -> dict[str, CanonicalField]:
    """`number title status(open|done) due_at:time` -> the fields; without a kind it is text."""
    found = {}
    for word in words.split():
        name, _, kind = word.partition(":")
        name, _, choices = name.partition("(")
        several = tuple(choices.rstrip(")").split("|")) if choices else ()
        found[name] = CanonicalField(kind or "text", several)
    return found


STAMPS = _fields("remote_created_at:time")
"""What every model may have beside its own fields."""

_MODELS = (
    Model(
        "work_order",
        _fields(
            "number title description status(open|in_progress|on_hold|done|cancelled)"
            " priority(none|low|medium|high|urgent) type(corrective|preventive|inspection|other) asset_id location_id"
            " assignee_ids:json requester_id scheduled_start:time due_at:time completed_at:time"
        ),
    ),
    Model(
        "asset",
        _fields(
            "number name description status parent_id location_id category manufacturer model serial_number barcode"
            " criticality installed_at:time"
        ),
    ),
    Model(
        "part",
        _fields(
            "number name description category unit unit_cost:number currency preferred_vendor_id barcode"
            " is_active:boolean"
        ),
    ),
    Model(
        "inventory_level",
        _fields(
            "part_id location_id lot_or_serial on_hand:number reserved:number available:number on_order:number"
            " min_qty:number max_qty:number bin as_of:time"
        ),
    ),
    Model(
        "location",
        _fields("code name parent_id type(site|building|warehouse|bin) address timezone is_active:boolean"),
    ),
    Model("vendor", _fields("number name email phone website address currency tax_id is_active:boolean")),
    Model(
        "purchase_order",
        _fields(
            "number status(draft|sent|approved|partially_received|received|closed|cancelled) vendor_id location_id"
            " order_date:date expected_at:time currency subtotal:number tax:number total:number notes"
        ),
        _fields(
            "line_no:integer part_id description quantity:number received_qty:number unit unit_price:number tax:number"
            " total:number expected_at:time work_order_id"
        ),
    ),
    Model(
        "purchase_request",
        _fields(
            "number status requester_id needed_by:time vendor_id location_id work_order_id total:number purchase_order_id"
        ),
        _fields("line_no:integer part_id description quantity:number unit unit_price:number total:number"),
    ),
    Model("meter", _fields("asset_id name unit type last_value:number last_read_at:time")),
    Model("reading", _fields("meter_id value:number read_at:time read_by")),
    Model("user", _fields("name email phone role title is_active:boolean hourly_rate:number")),
)

MODELS: Mapping[str, Model] = {model.name: model for model in _MODELS}
