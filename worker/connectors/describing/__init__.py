"""What does a connection say of its own system, over what the manifest says? Its setting `describe`, in the manifest's words.

A manifest names in `open` which of its sections a connection may add to. What the connection says there is checked by the
same schema, laid over the manifest, and read as one. So a system whose streams nobody can know beforehand (a database, any
REST API, any OData service) needs no manifest of its own for each installation.
"""

from worker.connectors.describing.described import Descriptions as Descriptions
from worker.connectors.describing.mistakes import BadDescription as BadDescription
from worker.connectors.describing.words import DESCRIBE as DESCRIBE
