import pytest

from devhost.http.route_template import RouteTemplateError, parse_template


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("tasks", "tasks", {}),
        ("tasks", "/TASKS/", {}),
        ("", "", {}),
        ("tasks/{id}", "tasks/a%20b", {"id": "a b"}),
        ("tasks/{id?}", "tasks", {}),
        ("tasks/{id?}", "tasks/7", {"id": "7"}),
        ("tasks/{id=latest}", "tasks", {"id": "latest"}),
        ("tasks/{id:int=5}", "tasks", {"id": "5"}),
        ("files/{*path}", "files", {}),
        ("files/{*path}", "files/a/b%20c", {"path": "a/b c"}),
        ("files/{**path}", "files/a/b", {"path": "a/b"}),
        ("files/{*path=index}", "files", {"path": "index"}),
        ("v{major}.{minor}", "v1.25", {"major": "1", "minor": "25"}),
        ("{file}.{ext}", "a.b.c", {"file": "a.b", "ext": "c"}),
        ("a{{b}}", "a{b}", {}),
        ("x/{id:int:min(5)}", "x/5", {"id": "5"}),
        (r"x/{id:regex(^\d{{3}}$)}", "x/123", {"id": "123"}),
        ("x/{id:length(2,3)?}", "x/ab", {"id": "ab"}),
    ],
)
def test_a_template_takes_the_paths_it_describes(template: str, path: str, values: dict[str, str]) -> None:
    assert parse_template(template).match(path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("tasks", "task"),
        ("tasks", "tasks/1"),
        ("tasks/{id}", "tasks"),
        ("tasks/{id}", "tasks//"),
        ("x/{id:int}", "x/a"),
        ("x/{id:int:min(5)}", "x/4"),
        ("v{major}.{minor}", "v1"),
        (r"x/{id:regex(^\d{{3}}$)}", "x/12"),
        ("x/{id:int?}", "x/a"),
        ("files/{*path:alpha}", "files/1"),
    ],
)
def test_a_template_refuses_other_paths(template: str, path: str) -> None:
    assert parse_template(template).match(path) is None


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["0", "-7", "2147483647"], ["2147483648", "1.5", "x", "٣"]),
        ("long", ["9223372036854775807"], ["9223372036854775808"]),
        ("bool", ["true", "FALSE"], ["1", "yes"]),
        ("decimal", ["1", "-1.5"], ["1e3", "x"]),
        ("double", ["1e3", ".5"], ["nan", "x"]),
        ("float", ["1e3"], ["x"]),
        (
            "guid",
            ["cd2c1638-1638-72d5-1638-deadbeef1638", "CD2C1638163872D51638DEADBEEF1638"],
            ["cd2c1638", "urn:uuid:cd2c1638-1638-72d5-1638-deadbeef1638"],
        ),
        ("datetime", ["2026-01-31", "2026-01-31T10:00:00"], ["31.1.2026x", "2026-02-31"]),
        ("alpha", ["abcXYZ"], ["a1", "ä"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(1,2)", ["a", "ab"], ["abc"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(18)", ["18"], ["17", "x"]),
        ("max(18)", ["18", "-1"], ["19"]),
        ("range(1,5)", ["1", "5"], ["0", "6"]),
        ("required", ["x"], []),
    ],
)
def test_a_constraint_admits_what_asp_net_admits(constraint: str, good: list[str], bad: list[str]) -> None:
    template = parse_template(f"x/{{v:{constraint}}}")
    assert [value for value in good if template.match(f"x/{value}") is None] == []
    assert [value for value in bad if template.match(f"x/{value}") is not None] == []


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("/tasks", "must not start with '/'"),
        ("a//b", "empty segment"),
        ("{id", "unbalanced"),
        ("id}", "unbalanced"),
        ("{}", "malformed parameter"),
        ("{a}{b}", "text between"),
        ("{id}/{ID}", "more than once"),
        ("{*path}/x", "only the last segment"),
        ("x{*path}", "whole segment"),
        ("{id:uint}", "'uint' is not supported"),
        ("{id:range(1)}", "'range(1)' is not supported"),
        ("{id:length(a)}", "not supported"),
        ("{id:regex([)}", "malformed"),
        ("{id=5?}", "cannot be optional and have a default"),
    ],
)
def test_a_malformed_template_is_refused_with_the_reason(template: str, reason: str) -> None:
    with pytest.raises(RouteTemplateError, match="route") as refused:
        parse_template(template)
    assert reason in str(refused.value)


def test_templates_sort_from_literal_to_catch_all() -> None:
    order = ["a/b", "a/x{id}", "a/{id:int}", "a/{id}", "a/{*rest:alpha}", "a/{*rest}"]
    templates = [parse_template(text) for text in reversed(order)]
    assert [each.text for each in sorted(templates, key=lambda each: each.precedence)] == order
