"""How the end-to-end tests are shared out: what uses the same servers runs in one worker."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class SharedServers(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """In tests/e2e the tests of one file with the same parameter belong together; any other test goes anywhere."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        _, _, parameter = test.partition("[")
        return f"{file}[{parameter}" if file.startswith("tests/e2e/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Take the place of xdist's own groups: pytest-xdist 3.8 cannot write their names into the ids of pytest 9.2."""
    return SharedServers(config, log) if config.getvalue("dist") == "loadgroup" else None
