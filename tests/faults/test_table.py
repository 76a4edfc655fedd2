import table

from siamese_utils import settings


def test_the_table_is_that_of_the_tests():
    assert table.README.read_text(encoding="utf-8") == table.make()
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(table.rows())} faults are injected" in readme
