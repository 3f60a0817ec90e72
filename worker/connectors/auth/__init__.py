"""How does a request prove who it is? One generator for each way; none of them sends anything."""

from worker.connectors.auth.fixed import BasicAuth as BasicAuth
from worker.connectors.auth.fixed import HeaderAuth as HeaderAuth
from worker.connectors.auth.fixed import NoAuth as NoAuth
from worker.connectors.auth.values import Credential as Credential
from worker.connectors.auth.values import header_value as header_value
from worker.connectors.auth.values import open_named as open_named
from worker.connectors.auth.values import with_header as with_header
