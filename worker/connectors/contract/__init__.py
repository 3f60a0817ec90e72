"""The whole port between the engine and a system, in one place.

A connector describes requests and reads answers; it opens no socket, knows no database and reads no clock. The engine
asks a `Source` (a connector bound to one connection's settings) for a `Stream`, and a stream for the request that comes
next; `worker/http` sends it under the account's budget with the source's `Auth`, and the stream reads the answer into a
`Page`. All values are plain data, so a connector is tested without a server.

    window, position ──▶ Stream.request ──▶ Request ──▶ (worker/http) ──▶ Response ──▶ Stream.read ──▶ Page ─┐
                 ▲                                                                                          │
                 └───────────────────────────── page.next is the next position ◀────────────────────────────┘

Pages are taken in their order, one after the other. Where a stream can name places beyond `page.next` (`onward`), those
are asked for at the same time; where it can ask for smaller pages (`resized`), it is asked so if they prove too large.
"""

from worker.connectors.contract.auth import NO_CSRF_TOKEN as NO_CSRF_TOKEN
from worker.connectors.contract.auth import Auth as Auth
from worker.connectors.contract.auth import Moment as Moment
from worker.connectors.contract.auth import Renewal as Renewal
from worker.connectors.contract.auth import SessionAuth as SessionAuth
from worker.connectors.contract.auth import Signing as Signing
from worker.connectors.contract.auth import Step as Step
from worker.connectors.contract.auth import TokenAuth as TokenAuth
from worker.connectors.contract.discovery import Discovery as Discovery
from worker.connectors.contract.discovery import Found as Found
from worker.connectors.contract.exchange import TOKEN_EXPIRED as TOKEN_EXPIRED
from worker.connectors.contract.exchange import CursorValue as CursorValue
from worker.connectors.contract.exchange import Position as Position
from worker.connectors.contract.exchange import Request as Request
from worker.connectors.contract.exchange import Response as Response
from worker.connectors.contract.exchange import Window as Window
from worker.connectors.contract.hook import BaseHook as BaseHook
from worker.connectors.contract.records import DeleteReason as DeleteReason
from worker.connectors.contract.records import Family as Family
from worker.connectors.contract.records import Gone as Gone
from worker.connectors.contract.records import Listed as Listed
from worker.connectors.contract.records import Page as Page
from worker.connectors.contract.records import Record as Record
from worker.connectors.contract.records import Rejected as Rejected
from worker.connectors.contract.records import Seam as Seam
from worker.connectors.contract.records import Singles as Singles
from worker.connectors.contract.source import Connector as Connector
from worker.connectors.contract.source import Source as Source
from worker.connectors.contract.source import Transport as Transport
from worker.connectors.contract.stream import Stream as Stream
from worker.connectors.contract.stream import StreamTraits as StreamTraits
from worker.connectors.contract.webhooks import Hint as Hint
from worker.connectors.contract.webhooks import HintKind as HintKind
from worker.connectors.contract.webhooks import Registration as Registration
from worker.connectors.contract.webhooks import Webhooks as Webhooks
from worker.limits.policy import Limits as Limits
from worker.webhooks.delivery import Delivery as Delivery
from worker.webhooks.delivery import Reply as Reply
