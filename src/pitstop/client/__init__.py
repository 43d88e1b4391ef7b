"""Hands predictions and labels over: to a folder (`Client`), to a service in the background (`Sender`, `watch`)."""

from pitstop.client.folder import Client

__all__ = ["Client"]
