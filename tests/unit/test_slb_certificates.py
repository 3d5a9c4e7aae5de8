"""Server and CA certificates, https listeners."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.localcloud import LocalCloud
from tests.unit.test_slb_balancers import make_balancer, refused, slb

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def make_pair(name: str = "web.example.test") -> tuple[str, str]:
    """A self-signed certificate and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName(f"www.{name}")]), critical=False)
        .sign(key, SHA256())
    )
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return certificate.public_bytes(Encoding.PEM).decode(), text


def upload(cloud: LocalCloud, **params: Any) -> str:
    pem, key = make_pair()
    return str(slb(cloud, "UploadServerCertificate", ServerCertificate=pem, PrivateKey=key, **params)["ServerCertificateId"])


def test_life_of_a_server_certificate(cloud: LocalCloud) -> None:
    pem, key = make_pair()
    made = slb(cloud, "UploadServerCertificate", ServerCertificate=pem, PrivateKey=key, ServerCertificateName="web")
    assert made["CommonName"] == "web.example.test" and made["ExpireTime"].startswith("2035-12-30") and made["IsAliCloudCertificate"] == 0
    assert made["SubjectAlternativeNames"] == {"SubjectAlternativeName": ["web.example.test", "www.web.example.test"]}
    assert made["Fingerprint"].count(":") == 19
    id = made["ServerCertificateId"]
    slb(cloud, "SetServerCertificateName", ServerCertificateId=id, ServerCertificateName="shop")
    slb(cloud, "TagResources", ResourceType="certificate", ResourceId=[id], Tag=[{"Key": "a", "Value": "b"}])
    answer = slb(cloud, "DescribeServerCertificates")
    (row,) = answer["ServerCertificates"]["ServerCertificate"]
    assert row["ServerCertificateName"] == "shop" and row["Tags"] == {"Tag": [{"TagKey": "a", "TagValue": "b"}]}
    assert "PRIVATE" not in str(answer) and "PRIVATE" not in str(made)
    assert slb(cloud, "DescribeServerCertificates", ServerCertificateId="none")["ServerCertificates"] == {"ServerCertificate": []}
    assert slb(cloud, "DescribeServerCertificates", Tag=[{"Key": "z"}])["ServerCertificates"] == {"ServerCertificate": []}
    slb(cloud, "DeleteServerCertificate", ServerCertificateId=id)
    assert refused(cloud, "DeleteServerCertificate", ServerCertificateId=id).status == 404
    assert refused(cloud, "SetServerCertificateName", ServerCertificateId=id, ServerCertificateName="x").status == 404


def test_the_key_is_in_no_log_and_no_error(cloud: LocalCloud, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    pem, key = make_pair()
    secret = key.splitlines()[1]
    slb(cloud, "UploadServerCertificate", ServerCertificate=pem, PrivateKey=key)
    wrong = refused(cloud, "UploadServerCertificate", ServerCertificate="nothing", PrivateKey=key)
    other = refused(cloud, "UploadServerCertificate", ServerCertificate=make_pair()[0], PrivateKey=key)
    assert wrong.code == "InvalidParameter" and other.code == "CertificateNotMatchPrivateKey"
    cloud.trace.close()
    logged = "".join(p.read_text() for p in cloud.runtime.site.home.glob("calls*"))
    assert "UploadServerCertificate" in logged
    for text in (logged, str(wrong.body), str(other.body), caplog.text, *capfd.readouterr(), repr(cloud.dataplane.plan)):
        assert secret not in text


def test_refused_certificates(cloud: LocalCloud) -> None:
    pem, key = make_pair()
    locked = (
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
    )
    for params, code in (
        ({"PrivateKey": key}, "MissingParameter"),
        ({"ServerCertificate": pem}, "MissingParameter"),
        ({"ServerCertificate": key, "PrivateKey": key}, "InvalidParameter"),
        ({"ServerCertificate": pem, "PrivateKey": pem}, "InvalidParameter"),
        ({"ServerCertificate": pem, "PrivateKey": locked}, "InvalidParameter"),
        ({"ServerCertificate": pem.replace("M", "!"), "PrivateKey": key}, "InvalidParameter"),
        ({"ServerCertificate": pem, "PrivateKey": key, "ServerCertificateName": "1"}, "InvalidParameter"),
        ({"AliCloudCertificateId": "123"}, "InvalidParameter"),
    ):
        assert refused(cloud, "UploadServerCertificate", **params).code == code


def test_https_listener(cloud: LocalCloud) -> None:
    pem, key = make_pair()
    certificate = slb(cloud, "UploadServerCertificate", ServerCertificate=pem, PrivateKey=key)["ServerCertificateId"]
    authority_pem, _ = make_pair("ca.example.test")
    authority = slb(cloud, "UploadCACertificate", CACertificate=authority_pem, CACertificateName="ca")["CACertificateId"]
    listener = {"LoadBalancerId": make_balancer(cloud), "ListenerPort": 443}
    slb(
        cloud, "CreateLoadBalancerHTTPSListener", **listener, BackendServerPort=80, HealthCheck="on", ServerCertificateId=certificate,
        CACertificateId=authority, TLSCipherPolicy="tls_cipher_policy_1_2", Bandwidth=-1,
    )  # fmt: skip
    slb(cloud, "StartLoadBalancerListener", **listener)
    (told,) = cloud.dataplane.plan.balancers[listener["LoadBalancerId"]].listeners
    assert told.certificate == pem + key and told.client_ca == authority_pem and told.http2 and told.tls_policy == "tls_cipher_policy_1_2"
    shown = slb(cloud, "DescribeLoadBalancerHTTPSListenerAttribute", **listener)
    assert shown["ServerCertificateId"] == certificate and shown["CACertificateId"] == authority and shown["EnableHttp2"] == "on"
    assert shown["DomainExtensions"] == {"DomainExtension": []} and shown["SecurityStatus"] == "on"
    assert "PRIVATE" not in str(shown) and "PRIVATE" not in repr(told)
    assert refused(cloud, "DeleteServerCertificate", ServerCertificateId=certificate).code == "CertificateAndPrivateKeyIsRefered"
    assert refused(cloud, "DeleteCACertificate", CACertificateId=authority).code == "CertificateAndPrivateKeyIsRefered"
    other = upload(cloud)
    slb(cloud, "SetLoadBalancerHTTPSListenerAttribute", **listener, ServerCertificateId=other, EnableHttp2="off")
    (told,) = cloud.dataplane.plan.balancers[listener["LoadBalancerId"]].listeners
    assert told.certificate != pem + key and not told.http2
    slb(cloud, "DeleteServerCertificate", ServerCertificateId=certificate)
    gone = refused(cloud, "SetLoadBalancerHTTPSListenerAttribute", **listener, CACertificateId="none")
    assert (gone.status, gone.code) == (404, "CACertificateId.NotFound")


def test_life_of_a_ca_certificate(cloud: LocalCloud) -> None:
    pem, key = make_pair("ca.example.test")
    made = slb(cloud, "UploadCACertificate", CACertificate=pem, CACertificateName="ca")
    assert made["CommonName"] == "ca.example.test" and made["CACertificateName"] == "ca"
    slb(cloud, "SetCACertificateName", CACertificateId=made["CACertificateId"], CACertificateName="root")
    (row,) = slb(cloud, "DescribeCACertificates")["CACertificates"]["CACertificate"]
    assert row["CACertificateName"] == "root" and row["Tags"] == {"Tag": []}
    slb(cloud, "TagResources", ResourceType="certificate", ResourceId=[made["CACertificateId"]], Tag=[{"Key": "a"}])
    assert slb(cloud, "DescribeCACertificates", Tag=[{"Key": "a"}])["CACertificates"]["CACertificate"] != []
    assert refused(cloud, "UploadCACertificate", CACertificate=key).code == "InvalidParameter"
    slb(cloud, "DeleteCACertificate", CACertificateId=made["CACertificateId"])
    assert slb(cloud, "DescribeCACertificates")["CACertificates"] == {"CACertificate": []}
    assert refused(cloud, "DeleteCACertificate", CACertificateId=made["CACertificateId"]).status == 404
