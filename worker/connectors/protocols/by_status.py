"""Which pages does a status alone stand for? One beyond the end of a list, and one of a list that holds nothing new."""

from worker.connectors.contract import Page, Position, Response
from worker.errors import Transient


def beyond(response: Response) -> Page:
    """A status says that the list ends here. A web page that comes with it is somebody else's word."""
    if "html" in response.headers.get("content-type", ""):
        said = f"The system answered {response.status} with a web page, which says nothing about the end of a list."
        raise Transient("malformed_page", said)
    return Page([])


def nothing_new(response: Response, position: Position | None) -> Page:
    """A status says that nothing has changed since the window's token, which stays what it is."""
    if position is not None:
        said = f"The system answered {response.status}, nothing new, to the page behind one with records."
        raise Transient("malformed_page", said)
    return Page([], unchanged=True)
