"""The reference page of assets is what their declarations say."""

from pathlib import Path

from mangrove.network.assets import KINDS, document

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "assets.md"


def test_the_page_is_current():
    """Write it anew with `python -m mangrove.network.assets.document docs/reference/assets.md`."""
    assert PAGE.read_text(encoding="utf-8") == document.page()


def test_the_page_names_every_kind_and_every_parameter():
    page = document.page()
    for kind in KINDS.values():
        section = page.split(f"\n## {kind.name}\n")[1].split("\n## ")[0]
        assert kind.title_vi in section
        for parameter in kind.parameters:
            assert f"| `{parameter.name}` |" in section
        for one in kind.inputs:
            assert f"| `{one.name}` |" in section
