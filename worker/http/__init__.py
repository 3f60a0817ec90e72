"""The only room that sends to a system."""

from worker.http.sender import Budget, CallContext, Permit, Sender

__all__ = ["Budget", "CallContext", "Permit", "Sender"]
