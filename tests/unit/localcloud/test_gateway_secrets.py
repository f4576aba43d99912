import base64
import json

from localcloud.gateway import xds
from localcloud.gateway.secrets import SecretName, references, resources
from localcloud.gateway.translate import GatewayResources

# A Secret `peer-ca` of the namespace `serving`, and the authorities of a Backend `serving` in a namespace `peer`.
CLASH = "serving/peer-ca"


def secret(name, **data):
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": name, "namespace": "serving"}, "data": encoded}


def config_map(name, namespace="serving", **data):
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def owner(kind, name, spec, namespace="serving"):
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def found(names, *objects):
    return resources(names, lambda kind: [each for each in objects if each["kind"] == kind])


def authorities(*names, kind="ConfigMap"):
    return {"caCertificateRefs": [{"group": "", "kind": kind, "name": name} for name in names]}


def test_a_certificate_and_authorities_of_the_same_name_are_told_apart():
    certificate, authority = SecretName("certificate", CLASH), SecretName("authority", CLASH)
    both = found(
        [certificate, authority],
        secret("peer-ca", **{"tls.crt": "C", "tls.key": "K"}),
        owner("Backend", "serving", {"tls": authorities("roots")}, "peer"),
        config_map("roots", "peer", **{"ca.crt": "R"}),
    )
    assert both[certificate]["tlsCertificate"]["privateKey"] == {"inlineString": "K"}
    assert both[authority]["validationContext"]["trustedCa"] == {"inlineString": "R\n"}
    assert xds.file_name("secret-certificate", CLASH) != xds.file_name("secret-authority", CLASH)


def test_all_authorities_of_a_policy_are_trusted_whether_in_config_maps_or_secrets():
    name = SecretName("authority", "serving/peers/ca.crt")
    validation = {
        "caCertificateRefs": [
            {"group": "", "kind": "ConfigMap", "name": "one"}, {"group": "", "kind": "Secret", "name": "two"},
        ]
    }  # fmt: skip
    policy = owner("ClientTrafficPolicy", "peers", {"tls": {"clientValidation": validation}})
    content = found([name], policy, config_map("one", **{"ca.crt": "A\n"}), secret("two", **{"ca.crt": "B"}))
    assert content[name]["validationContext"]["trustedCa"]["inlineString"] == "A\nB\n"


def test_a_backend_tls_policy_and_the_systems_authorities_are_found():
    name = SecretName("authority", "jwks/serving-ca")
    system = owner("BackendTLSPolicy", "jwks", {"validation": {"wellKnownCACertificates": "System"}})
    assert found([name], system)[name]["validationContext"]["trustedCa"]["filename"].endswith("ca-certificates.crt")
    own = owner("BackendTLSPolicy", "jwks", {"validation": authorities("roots")})
    assert found([name], own, config_map("roots", **{"ca.crt": "R"}))[name]


def test_what_is_not_there_is_left_out():
    names = [SecretName("certificate", "serving/gone"), SecretName("authority", "serving/gone/ca.crt")]
    assert found(names, secret("half", **{"tls.crt": "C"})) == {}
    assert found([SecretName("certificate", "serving/half")], secret("half", **{"tls.crt": "C"})) == {}


def test_contexts_read_their_secrets_from_files_that_are_written_first(tmp_path):
    context = {
        "tlsCertificateSdsSecretConfigs": [{"name": "serving/peer", "sdsConfig": {"ads": {}}}],
        "combinedValidationContext": {
            "validationContextSdsSecretConfig": {"name": "peer-gcp/serving-ca", "sdsConfig": {"ads": {}}}
        },
    }
    match = {"transportSocket": {"typedConfig": {"commonTlsContext": context}}}
    cluster = {"name": "c", "type": "EDS", "edsClusterConfig": {"serviceName": "c"}, "transportSocketMatches": [match]}
    names = sorted({name for name, _ in references(cluster)})
    assert names == [SecretName("authority", "peer-gcp/serving-ca"), SecretName("certificate", "serving/peer")]
    content = {name: {"name": name.name} for name in names}
    files = xds.files(GatewayResources(clusters=[cluster]), tmp_path, {}, [], {}, content)
    assert list(files)[:2] == [xds.file_name(f"secret-{each.role}", each.name) for each in names]
    assert '"ads"' not in json.dumps(files)
    xds.write(tmp_path, files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.iterdir())
