"""A server that plays a system, in this process, over real sockets: what a connector is checked against.

One file per system, of a hundred lines or so. `Double` (base) holds the truth, the clock, the server and the trouble;
what a file says is how its system is spoken to. See `base` for all of it, and tests/connectors/doubles for examples:

    class Pumps(Double):
        system = "pumps"
        secrets = {"token": "double-token"}
        tables = {"pumps": Table(changed="updatedAt")}

        def settings(self):
            return {"base_url": self.base_url}

        def admits(self, call):
            return call.headers.get("authorization") == f"Bearer {self.secrets['token']}"

        def answer(self, call):
            if call.path != "/v1/pumps":
                return Answer(404)
            rows = self.rows("pumps", since=moment(call.param("updated_since")))
            page, following = by_token(rows, call.param("cursor"), int(call.param("limit", "50")))
            return Answer(body={"items": [self.show("pumps", row) for row in page], "next": following})

A double is built from documentation. What passes against it was never tried on the system itself. A system that isn't asked
by HTTP is played by itself (`carried`): a database or a program of this machine.
"""

from scheduler.connectors.check.double.any_double import AnyDouble as AnyDouble
from scheduler.connectors.check.double.any_double import Complaint as Complaint
from scheduler.connectors.check.double.base import Double as Double
from scheduler.connectors.check.double.carried import Carried as Carried
from scheduler.connectors.check.double.exchange import Answer as Answer
from scheduler.connectors.check.double.exchange import Call as Call
from scheduler.connectors.check.double.paging import by_number as by_number
from scheduler.connectors.check.double.paging import by_offset as by_offset
from scheduler.connectors.check.double.paging import by_token as by_token
from scheduler.connectors.check.double.table import Row as Row
from scheduler.connectors.check.double.table import Table as Table
from scheduler.connectors.check.double.times import epoch as epoch
from scheduler.connectors.check.double.times import iso as iso
from scheduler.connectors.check.double.times import moment as moment
from scheduler.connectors.check.double.times import naive as naive
