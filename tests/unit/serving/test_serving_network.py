from serving.network import MONITORING_LABEL, server_traffic


def network(kind: str = "s3") -> dict:
    return server_traffic({"app": "scenes"}, kind)


def opened(rule: dict) -> set[tuple[str, int]]:
    return {(each["protocol"], each["port"]) for each in rule["ports"]}


def test_only_the_gateway_reaches_the_servers_ports_and_monitoring_only_the_metrics():
    gateway, monitoring = network()["ingress"]
    named = {"kubernetes.io/metadata.name": "envoy-gateway-system"}
    assert gateway["from"] == [{"namespaceSelector": {"matchLabels": named}}]
    assert opened(gateway) == {("TCP", 8500), ("TCP", 8501)}
    assert monitoring["from"] == [{"namespaceSelector": {"matchLabels": {MONITORING_LABEL: "true"}}}]
    assert opened(monitoring) == {("TCP", 8501)}


def test_a_server_that_was_taken_over_calls_nothing_but_dns_https_and_its_own_identity():
    def beyond(kind: str) -> list[tuple[str, set[tuple[str, int]]]]:
        assert network(kind)["policyTypes"] == ["Ingress", "Egress"]
        _, https, *rest = network(kind)["egress"]
        assert opened(https) == {("TCP", 443)}
        # The node's own services, such as its credentials, are not on the internet.
        assert https["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]
        return [(rule["to"][0]["ipBlock"]["cidr"], opened(rule)) for rule in rest]

    assert beyond("s3") == [("169.254.170.23/32", {("TCP", 80)})]
    assert beyond("gcs") == [("169.254.169.254/32", {("TCP", 80)}), ("169.254.169.252/32", {("TCP", 988)})]
    assert beyond("azureblob") == []


def test_names_are_resolved_in_the_cluster_or_on_the_node():
    def resolvers(kind: str) -> tuple[list, set]:
        rule = network(kind)["egress"][0]
        return [each["ipBlock"]["cidr"] for each in rule["to"] if "ipBlock" in each], opened(rule)

    assert resolvers("s3") == (["169.254.20.10/32"], {("UDP", 53), ("TCP", 53)})
    assert resolvers("gcs")[0] == ["169.254.20.10/32", "169.254.169.254/32"]
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    assert system in network()["egress"][0]["to"]
