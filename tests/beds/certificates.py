"""An authority of a test's own, and what it issues: good, expired, or for somebody else."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def pem_of(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    """Return a key in PEM."""
    sealing: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        sealing = serialization.BestAvailableEncryption(password)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
    return key.private_bytes(*form).decode()


class Authority:
    """Issues certificates."""

    def __init__(self, name: str = "a test's authority") -> None:
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self._name, self._key, days=1)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.pem = self._signed(builder)
        """Its own certificate."""

    def issue(self, name: str, *, days: float = 1, address: str = "127.0.0.1") -> tuple[str, str]:
        """Return a certificate and its key, in PEM.

        Args:
            name: Whose.
            days: Until its end; negative for one that has expired.
            address: Of the server that it is for.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = [x509.IPAddress(ip_address(address))]
        builder = self._builder(subject, key, days)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            critical=False,
        )
        return self._signed(builder), pem_of(key)

    def server(self, *, wants_certificate: bool = False, **issued: object) -> ssl.SSLContext:
        """Return a server's side; it may ask clients for a certificate of this authority."""
        certificate, key = self.issue("a server", **issued)  # type: ignore[arg-type]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write((certificate + key).encode())
            file.flush()
            context.load_cert_chain(file.name)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=days))
        )

    def _signed(self, builder: x509.CertificateBuilder) -> str:
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()
