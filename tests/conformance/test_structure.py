"""Rules about the tree that no single module can keep: who may import whom, sizes, names, forbidden words."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"components", "serving", "model_export", "localcloud", "policy", "deploy", "docs", "plugin", "toolchain"}
CLOUD_SDKS = {"pulumi_aws", "pulumi_gcp", "pulumi_azure_native"}
SDK_OF_PREFIX = {
    "eks_": "pulumi_aws", "ecr_": "pulumi_aws", "s3_": "pulumi_aws", "aws_": "pulumi_aws",
    "gke_": "pulumi_gcp", "artifact_": "pulumi_gcp", "gcs_": "pulumi_gcp", "gcp_": "pulumi_gcp",
    "aks_": "pulumi_azure_native", "acr_": "pulumi_azure_native", "blob_": "pulumi_azure_native",
    "azure_": "pulumi_azure_native",
}  # fmt: skip
MAX_LINES = 400


def tracked(*patterns: str) -> list[Path]:
    """Return the project's files: tracked by git, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def imports(file: Path) -> set[str]:
    """Return the top-level packages a file imports anywhere, functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def sources(package: str) -> list[Path]:
    return tracked(f"{package}/*.py", f"{package}/**/*.py")


def offenders(package: str, forbidden: set[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}: {sorted(bad)}" for file in sources(package) if (bad := imports(file) & forbidden)
    ]


def test_model_export_imports_nothing_of_ours_and_no_pulumi():
    assert not offenders("model_export", (OURS - {"model_export"}) | {"pulumi"} | CLOUD_SDKS)


def test_serving_imports_no_cloud_sdk_and_nothing_above_it():
    assert not offenders("serving", (OURS - {"serving"}) | CLOUD_SDKS | {"pulumi_kubernetes"})


def test_components_import_only_serving_of_ours():
    assert not offenders("components", OURS - {"components", "serving"})


def test_the_policy_pack_stands_alone():
    """The engine runs it as a program of its own, in stacks that are not ours, too."""
    assert not offenders("policy", (OURS - {"policy"}) | CLOUD_SDKS | {"pulumi_kubernetes"})


def test_the_deploy_command_knows_settings_and_policies_only():
    assert not offenders("deploy", OURS - {"deploy", "policy", "serving", "toolchain"} | CLOUD_SDKS)


def test_a_cloud_module_imports_only_its_own_sdk():
    bad = []
    for file in sources("components"):
        own = next((sdk for prefix, sdk in SDK_OF_PREFIX.items() if file.name.startswith(prefix)), None)
        if own is not None and (foreign := imports(file) & (CLOUD_SDKS - {own})):
            bad.append(f"{file.name}: {sorted(foreign)}")
    assert not bad


def test_nothing_but_itself_tests_and_benchmarks_imports_localcloud():
    packages = ("components", "serving", "model_export", "policy", "deploy", "docs", "plugin", "toolchain")
    assert not [line for package in packages for line in offenders(package, {"localcloud"})]
    assert "localcloud" not in imports(ROOT / "__main__.py")


def test_production_code_does_not_know_the_local_clouds():
    bad = []
    for package in ("components", "serving", "model_export", "policy", "deploy"):
        for file in sources(package):
            if re.search(r"\blocalcloud\b|\bis_local\b|simulat", file.read_text()):
                bad.append(str(file.relative_to(ROOT)))
    assert not bad


def test_the_program_stays_small():
    assert len((ROOT / "__main__.py").read_text().splitlines()) <= 80


@pytest.mark.parametrize("package", sorted({*OURS, "tests", "benchmarks"}))
def test_no_file_outgrows_its_limit(package: str):
    big = {str(f.relative_to(ROOT)): n for f in sources(package) if (n := len(f.read_text().splitlines())) > MAX_LINES}
    assert not big


def test_no_dumping_grounds():
    assert not [f for f in tracked("*.py") if f.name in {"utils.py", "helpers.py", "misc.py", "common.py"}]


def test_no_string_statement_is_lost_inside_a_function():
    """A message cut by a missing parenthesis leaves a bare string behind, which no linter reports."""
    bad = []
    for file in tracked("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for statement in node.body[1:]:
                    value = statement.value if isinstance(statement, ast.Expr) else None
                    if (isinstance(value, ast.Constant) and isinstance(value.value, str)) or isinstance(
                        value, ast.JoinedStr
                    ):
                        bad.append(f"{file.relative_to(ROOT)}:{statement.lineno}")
    assert not bad


def test_the_lock_names_hashes_and_no_index():
    text = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text
    assert "--index" not in text


def test_no_file_names_a_machine_path():
    pattern = re.compile(r"/work/|/root/|/home/[a-z]|/tmp/tools")
    here = Path(__file__)
    bad = []
    for file in tracked():
        if file == here or file.suffix in {".png", ".sum", ".tar"}:
            continue
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        if match := pattern.search(text):
            bad.append(f"{file.relative_to(ROOT)}: {match.group()}")
    assert not bad
