"""A service account with domain-wide delegation: its key, and the assertions that are signed with it."""

import json
import time
from base64 import urlsafe_b64decode
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.emulator.wire import Answer, Json
from tests.gmail.errors import login_error

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EMAIL = "reader@stand-in.iam.gserviceaccount.com"
# google-auth puts this one in, whatever `token_uri` its key file names.
_GOOGLES_TOKEN_URI = "https://oauth2.googleapis.com/token"
_KEY_ID = "0123456789abcdef0123456789abcdef01234567"
_SKEW_SECONDS = 300
_LIFETIME_SECONDS = 3600
_NOT_SHORT_LIVED = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)
_UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any "
    "of the scopes requested."
)


class ServiceAccount:
    """An account that may read one mailbox in its owner's name."""

    def __init__(self, *, address: str, token_uri: str, auth_uri: str) -> None:
        self._address, self._token_uri, self._auth_uri = address, token_uri, auth_uri

    @cached_property
    def _private_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def key(self) -> dict[str, str]:
        """What the key file holds that Google gives out."""
        pem = self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "stand-in",
            "private_key_id": _KEY_ID,
            "private_key": pem.decode("ascii"),
            "client_email": _EMAIL,
            "client_id": "100000000000000000001",
            "auth_uri": self._auth_uri,
            "token_uri": self._token_uri,
            "universe_domain": "googleapis.com",
        }

    def scopes(self, assertion: str, delegated: frozenset[str]) -> frozenset[str] | Answer:
        """The scopes that an assertion asks for, where it is good and all of them were delegated."""
        try:
            claims = self._claims(assertion)
        except (ValueError, InvalidSignature):
            return login_error(400, "invalid_grant", "Invalid JWT Signature.")
        if claims.get("iss") != _EMAIL:
            return login_error(400, "invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") not in {self._token_uri, _GOOGLES_TOKEN_URI}:
            right = f"Invalid JWT: Failed audience check. The right audience is {self._token_uri}"
            return login_error(400, "invalid_grant", right)
        if not _is_timely(claims, time.time()):
            return login_error(400, "invalid_grant", _NOT_SHORT_LIVED)
        asked = frozenset(str(claims.get("scope", "")).split())
        if claims.get("sub") != self._address or not asked or not asked <= delegated:
            return login_error(401, "unauthorized_client", _UNAUTHORIZED)
        return asked

    def _claims(self, assertion: str) -> Json:
        """What the assertion says.

        Raises:
            ValueError: it is no JWT.
            InvalidSignature: it was not signed with our key.
        """
        signed, _, signature = assertion.rpartition(".")
        head, _, claims = (_decoded(part) for part in signed.partition("."))
        if json.loads(head).get("alg") != "RS256":
            raise ValueError("Not signed as a service account signs")
        public = self._private_key.public_key()
        public.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        found: Json = json.loads(claims)
        return found


def _is_timely(claims: Json, now: float) -> bool:
    try:
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (KeyError, TypeError, ValueError):
        return False
    begun = issued <= now + _SKEW_SECONDS
    return begun and now - _SKEW_SECONDS <= expires and expires - issued <= _LIFETIME_SECONDS


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
