from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest
import yaml
from bench_depth.core.errors import UserError
from ghostdepth_train.compress.recipe import load_recipe
from ghostdepth_train.config import TimmEncoderConfig, TrainConfig, load_train_config, parse_config
from ghostdepth_train.config.fields import Config
from ghostdepth_train.yaml_files import parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as some

NETWORK = "network: {encoder: {width_multiplier: 0.25}, decoder: {widths: [16, 8, 8]}}\n"
ALIASES = "\n".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[" * 3000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested deeper than 64 levels"),
        ("&a [*a]", "an alias stands within what it stands for"),
        (f"a: &a [1]\n{ALIASES}\nbase: *h\n", "1 MiB with its aliases written out"),
        (f"{NETWORK}base: {{a: &a [1], b: [*a, *a]}}\n", "unknown config"),
        (f"epochs: {'9' * 5000}\n", "Exceeds the limit|integer"),
        ("seed: 1\nseed: 2\n", "the key 'seed' stands there twice"),
        ("a: &a {x: 1}\n? {<<: *a, y: 1, y: 2}\n: 1\n", "the key 'y' stands there twice"),
        ("seed: 2026-13-45\n", "not valid YAML: month"),
        ("seed: !!bool maybe\n", "x.yaml is not valid YAML: 'maybe' is no bool"),
        ("seed: !!timestamp abc\n", "'abc' is no timestamp"),
        ('seed: !!int ""\n', "'' is no int"),
        ('seed: !!float ""\n', "'' is no float"),
        ("seed: !!int {=: 1}\n", "a list or mapping is no int"),
        ('base: "\\ud800"\n', r"'\\ud800' is no str"),
        ('"\\udfff": 1\n', r"'\\udfff' is no str"),
        ("x" * 300_000, "larger than 0.25 MiB"),
        (f"learning_rate: .inf\n{NETWORK}", "learning_rate: .*finite"),
        (f"warmup_epochs: .nan\n{NETWORK}", "warmup_epochs: .*finite"),
        (f"batch_size: 1000000000\n{NETWORK}", "batch_size: .*less than or equal to 4096"),
        (f"epochs: 1000000000000\n{NETWORK}", "epochs: .*less than or equal"),
        (f"seed: 1{'0' * 40}\n{NETWORK}", "seed: .*less than or equal"),
        (NETWORK.replace("8]", "1000000000]"), r"decoder\.widths\.2: .*less than or equal"),
        (NETWORK.replace("{enc", "{input_height: 1000000000, enc"), "input_height: .*4096"),
        (NETWORK.replace("{enc", "{std: [0, 1, 1], enc"), r"std\.0: .*greater than"),
        (NETWORK.replace("0.25", ".nan"), "width_multiplier must be in"),
        ('"\\e[2J\\u202e": 1\n' + NETWORK, r"\\x1b\[2J\\u202e: Extra"),
    ],
)
def test_a_config_that_cannot_be_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=line) as caught:
        load_train_config(str(path))
    assert len(str(caught.value)) < 600


def test_a_merged_key_may_be_overridden() -> None:
    text = "x: &x {k: 1}\ndeep: {inner: &b {<<: *x, k: 2}}\nuse: {<<: *b, k: 3}\n"
    found = parse_yaml(text)
    assert (found["deep"]["inner"], found["use"]) == ({"k": 2}, {"k": 3})


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32"])
def test_other_encodings(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes("# für die Küche\n- {method: prune}\n".encode(encoding))
    with pytest.raises(UserError, match="is not UTF-8; save it as UTF-8 text"):
        load_recipe(str(tmp_path / "x.yaml"))


PLAIN = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False)
    | some.text("aä:#- "),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text("ab"), inner),
    max_leaves=8,
)
quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@quick
@given(PLAIN)
def test_plain_values_come_back(value: object) -> None:
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True)) == value


@quick
@given(
    some.lists(some.tuples(some.sampled_from(["list", "dict", "merge"]), some.integers(2, 9))),
    some.integers(0, 2000),
)
def test_what_aliases_stand_for_is_limited(levels: list[tuple[str, int]], length: int) -> None:
    """Lists, mappings and merged keys that stand for one another, and for a long text."""
    lines, size = [f"a0: &a0 {{key: {'x' * length}}}"], length
    for index, (kind, times) in enumerate(levels):
        aliases = [f"*a{index}"] * times
        parts = {
            "list": f"[{', '.join(aliases)}]",
            "dict": f"{{{', '.join(f'{n}: {alias}' for n, alias in enumerate(aliases))}}}",
            # Mappings alone can be merged.
            "merge": f"{{<<: [{', '.join(['*a0'] * times)}]}}",
        }
        lines.append(f"a{index + 1}: &a{index + 1} {parts[kind]}")
        size = times * (length if kind == "merge" else size)
    try:
        value = parse_yaml("\n".join(lines))
    except yaml.YAMLError as error:
        assert "1 MiB with its aliases written out" in str(error)
    else:
        assert size <= 2**20
        assert len(str(value)) < 2**23


@pytest.mark.parametrize(
    "name", ["hf_hub:a/b", "local-dir:/etc", "../x", "a/b", "", "x\n", "a.b.c"]
)
def test_the_name_of_a_timm_model_is_no_address(name: str) -> None:
    with pytest.raises(UserError, match="name: String should match"):
        parse_config(TimmEncoderConfig, {"kind": "timm", "name": name}, "x")


def test_a_check_of_our_own_says_only_its_words() -> None:
    values = load_train_config("tiny").model_dump()
    values["batch_size"] = 1
    values["network"] |= {"input_height": 32, "input_width": 32}
    with pytest.raises(UserError, match=r"^x: batch norm gets one value"):
        parse_config(TrainConfig, values, "x")


@quick
@given(some.text("[]{}&*a!|>'\"\n:- ,#%@`\t\\1e.\0\x1b\ufeff") | some.text())
def test_any_text_is_a_value_or_a_known_error(text: str) -> None:
    with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
        parse_yaml(text)


TAGS = some.sampled_from(
    [
        *(
            "bool",
            "int",
            "float",
            "null",
            "str",
            "binary",
            "timestamp",
            "seq",
            "map",
            "set",
            "omap",
        ),
        *("pairs", "merge", "value", "yaml", "python/object:os.system", "x"),
    ]
)
SCALARS = some.text("-+_.:0123456789abefinTtxyZ \n", max_size=24) | some.text(max_size=5)
DATES = some.from_regex(
    r"\A\d{1,4}-\d\d?-\d\d?([Tt ]\d\d?:\d\d:\d\d(\.\d*)?( ?[-+]\d\d?(:\d\d)?)?)?\Z"
)


@settings(quick, max_examples=1000)
@given(
    TAGS,
    SCALARS | DATES,
    some.sampled_from(
        ["{}", '"{}"', "'{}'", "[{}]", "{{{}: 1}}", "{{=: {}}}", "[{{{}: 1}}]", "|\n {}"]
    ),
    some.sampled_from(["a: {}", "? {}\n: 1", "- {}", "<<: {}", "{}"]),
)
def test_any_text_under_any_tag_is_a_value_or_a_known_error(
    tag: str, text: str, form: str, place: str
) -> None:
    with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
        parse_yaml(place.format(f"!!{tag} {form.format(text)}"))


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    for load, name, near in ((load_train_config, "tyny", "tiny"), (load_recipe, "halff", "half")):
        with pytest.raises(UserError, match=rf"neither a file .*; did you mean {near}\?$"):
            load(name)


def test_a_base_may_have_a_base_beside_it_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text("base: nano\nepochs: 7\nbatch_size: 3\n")
    (tmp_path / "deep").mkdir()
    second = tmp_path / "deep" / "second.yaml"
    second.write_text("base: ../first.yaml\nepochs: 5\n")
    found = load_train_config(str(second))
    assert (found.epochs, found.batch_size) == (5, 3)
    assert found.network == load_train_config("nano").network


@pytest.mark.parametrize("back", ["one.yaml", "../deep/./one.yaml"])
def test_bases_in_a_circle_are_refused(tmp_path: Path, back: str) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "one.yaml").write_text("base: two.yaml\n")
    (folder / "two.yaml").write_text(f"base: {back}\n")
    with pytest.raises(UserError, match=r"one\.yaml is its own base: .*two\.yaml -> "):
        load_train_config(str(folder / "one.yaml"))


def config_classes(kind: type[Config] = Config) -> Iterator[type[Config]]:
    for each in kind.__subclasses__():
        yield each
        yield from config_classes(each)


def mentions_bool(annotation: object) -> bool:
    return annotation is bool or any(map(mentions_bool, typing.get_args(annotation)))


@pytest.mark.parametrize("value", [True, False, [True], [1, False], [[2, True]]], ids=str)
def test_no_field_but_a_boolean_takes_a_boolean(value: object) -> None:
    for kind in set(config_classes()):
        for name, field in kind.model_fields.items():
            if mentions_bool(field.annotation):
                continue
            with pytest.raises(pydantic.ValidationError):
                validator = kind.__pydantic_validator__
                validator.validate_assignment(kind.model_construct(), name, value)


@pytest.mark.parametrize(
    "text",
    [
        *("epochs: yes", "batch_size: on", "learning_rate: true", "network: {input_height: true}"),
        *("augment: {flip: no}", "augment: {noise: Off}", "loss: {gradient_scales: True}"),
        "network: {decoder: {widths: [yes, 8, 8]}}",
        "network: {encoder: {width_multiplier: yes}}",
    ],
)
def test_a_boolean_in_place_of_a_number_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"base: ghostnet-s\n{text}\n")
    with pytest.raises(UserError, match=r"config\.yaml: "):
        load_train_config(str(file))


@pytest.mark.parametrize("text", ["1:30", "-12:30:45", "1:30.5", "010", "-007", "0_1", "+00"])
def test_numbers_of_other_bases_are_no_numbers(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="no plain number"):
        parse_yaml(f"epochs: {text}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-0", 0), ("0.5", 0.5), ("00:x", "00:x"), ("'010'", "010"), ("1e-3", "1e-3"),
     ("0x10", 16), ("1_000", 1000), ("a:1", "a:1"), ("0.0", 0.0), ("00.5", 0.5)],
)  # fmt: skip
def test_plain_numbers_and_text_are_what_they_were(text: str, value: object) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize("text", ["9" * 81, "9" * 5000, "-" + "1" * 4400, "0x" + "f" * 99])
def test_integers_that_are_too_long_are_one_line(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="the largest has 64 bits"):
        parse_yaml(f"epochs: {text}")
