import table


def test_the_table_is_that_of_the_tests():
    assert table.README.read_text(encoding="utf-8") == table.make()
