from hnas.persist.difference import differences, listed


def test_only_what_differs_is_named_by_its_path():
    stored = {"a": 1, "b": {"c": [1, 2], "d": 3}, "rows": [{"x": 1}, {"x": 2}], "gone": 0}
    asked = {"a": 1, "b": {"c": [1, 3], "d": 3}, "rows": [{"x": 1}, {"x": 5}], "new": None}
    found = differences(stored, asked)
    assert found == {
        "b.c": ([1, 2], [1, 3]),
        "rows.1.x": (2, 5),
        "gone": (0, "nothing"),
        "new": ("nothing", None),
    }
    assert listed(found).splitlines()[0] == "  b.c: stored [1, 2], asked [1, 3]"
    assert differences(stored, dict(stored)) == {}
