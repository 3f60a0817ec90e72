"""Requests that come twice: whose turn it is, and what was answered before."""
