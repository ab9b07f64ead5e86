"""Access control: loopback only, or anyone who presents the token."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from dataclasses import dataclass
from email.message import Message
from typing import Optional
from urllib.parse import urlsplit

from bench_depth.core.errors import UserError

# Holds a token that stays the same over starts: not in the list of processes, not in a log.
TOKEN_VARIABLE = "BENCH_DEPTH_TOKEN"  # noqa: S105 (its name)


@dataclass(frozen=True)
class Access:
    """The access rules of one server.

    Attributes:
        token: Token that every request must carry in its URL; None for a server that listens on
            loopback only.
        printed: Whether the token is new and must be printed for the user to know it.
    """

    token: Optional[str]
    printed: bool = True

    @classmethod
    def for_address(cls, address: str) -> Access:
        """The rules for a listening address.

        The token is that of the environment, `TOKEN_VARIABLE`, which is taken out of it; else a
        random one, or none on loopback.

        Raises:
            UserError: The token of the environment is too short or no part of a URL.
        """
        given = os.environ.pop(TOKEN_VARIABLE, None)
        if given is not None:
            return cls(check_token(given), printed=False)
        loopback = ipaddress.ip_address(address).is_loopback
        return cls(None if loopback else secrets.token_urlsafe(16))

    def refusal(self, headers: Message, token: str, page: bool) -> Optional[str]:
        """The reason why a request is refused; None if it is allowed.

        Args:
            headers: HTTP headers of the request.
            token: Token in the URL of the request; empty for none.
            page: Whether the request is for the page itself, which other sites may link to.
        """
        if self.token is not None:
            if not secrets.compare_digest(token.encode(), self.token.encode()):
                return "the token is missing or wrong: open the address that bench-depth printed"
        # DNS rebinding makes the name of another site resolve to this machine; the browser then
        # treats its scripts as same-origin, but the Host header still holds that name.
        elif not _is_loopback(headers.get("Host", "")):
            return "open this page as http://localhost or by its IP address"
        origin = headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != headers.get("Host"):
            return "this page is not for other sites"
        if not page and headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "this page is not for other sites"
        return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_token(token: str) -> str:
    """Returns a token that the user chose.

    Raises:
        UserError: It is too short or no part of a URL.
    """
    if not re.fullmatch(r"[\w.~-]{16,200}", token, re.ASCII):
        raise UserError(
            f"{TOKEN_VARIABLE} must hold 16 to 200 letters, digits, - . _ or ~; "
            "leave it out for a random token"
        )
    return token
