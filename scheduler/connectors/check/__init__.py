"""Does a connector keep its promises? One suite for every system: those of the catalogue, and anybody's.

`double` is what plays a system, `driving` reads it as a worker does but into memory, `checks` are the suite, and
`report` says what came of it. A file `double.py` beside a manifest is found by `headrace connector check DIR`.
"""

from scheduler.connectors.check.double import Answer as Answer
from scheduler.connectors.check.double import AnyDouble as AnyDouble
from scheduler.connectors.check.double import Call as Call
from scheduler.connectors.check.double import Carried as Carried
from scheduler.connectors.check.double import Complaint as Complaint
from scheduler.connectors.check.double import Double as Double
from scheduler.connectors.check.double import Row as Row
from scheduler.connectors.check.double import Table as Table
from scheduler.connectors.check.double import by_number as by_number
from scheduler.connectors.check.double import by_offset as by_offset
from scheduler.connectors.check.double import by_token as by_token
from scheduler.connectors.check.double import epoch as epoch
from scheduler.connectors.check.double import iso as iso
from scheduler.connectors.check.double import moment as moment
from scheduler.connectors.check.double import naive as naive
