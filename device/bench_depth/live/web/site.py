"""What a server answers its requests from."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench_depth.live.web.access import Access
from bench_depth.live.web.connections import Connections
from bench_depth.live.web.page import Page
from bench_depth.live.web.view import View


@dataclass
class Site:
    """The parts of a server that its connections share.

    Attributes:
        view: The frames and the model information.
        access: Who may ask.
        page: The page and its policy.
        connections: The open connections.
    """

    view: View
    access: Access
    page: Page = field(default_factory=Page)
    connections: Connections = field(default_factory=Connections)
