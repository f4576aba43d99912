"""Whether a cloud has the Kubernetes version that a stack asks for."""

from collections.abc import Collection

from components._preflight_calls import Unanswered
from components._preflight_report import Report, SiteNeeds


def check_version(
    needs: SiteNeeds, product: str, offered: Collection[str] | Unanswered, command: str, report: Report
) -> None:
    """Report a version that a site's cloud does not have, or that nobody tells.

    Args:
        needs: What the site asks for.
        product: The cloud's name for its clusters, such as `EKS`.
        offered: Minor versions of the site's region.
        command: What a person types to see them.
        report: Gets the finding.
    """
    wanted = needs.settings.kubernetes_version
    if isinstance(offered, Unanswered):
        report.warning(
            f"site {needs.name}: it is not known whether {product} has Kubernetes {wanted} ({offered.reason}): "
            f"{command}"
        )
    elif wanted not in offered:
        report.problem(
            "kubernetesVersion",
            f"{product} has no Kubernetes {wanted} in {needs.site.location_name}",
            have=", ".join(sorted(offered)),
            need=wanted,
            where=needs.name,
            fix="choose one that every site has",
        )
