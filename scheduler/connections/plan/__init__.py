"""What would become of the connections if the file were applied? Pure, so a dry run shows what happens."""

from scheduler.connections.plan.compare import absent_connections, make_plan, plan_change, plan_creation
from scheduler.connections.plan.merge import FieldChange
from scheduler.connections.plan.model import EFFECTIVE, Change, Kind, Plan
from scheduler.connections.plan.wording import change_line, plan_json, plan_lines, plan_summary

__all__ = [
    "EFFECTIVE",
    "Change",
    "FieldChange",
    "Kind",
    "Plan",
    "absent_connections",
    "change_line",
    "make_plan",
    "plan_change",
    "plan_creation",
    "plan_json",
    "plan_lines",
    "plan_summary",
]
