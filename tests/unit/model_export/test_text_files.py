"""Texts and labels from CSV and JSON Lines files."""

import pytest

from model_export import datasets
from model_export.errors import ExportError

GOOD = [("a good text", "yes"), ("another", "no")] * 4


def load(folder, name, content):
    file = folder / f"texts.{name}"
    file.write_bytes(content)
    return datasets.load(f"{name}:{file}", 0)


def csv_of(*rows):
    lines = [b"text,label", *(f"{text},{label}".encode() for text, label in GOOD), *rows]
    return b"\n".join(lines) + b"\n"


def jsonl_of(*lines):
    good = [b'{"text": "a good text", "label": "yes"}', b'{"text": "another", "label": "no"}'] * 4
    return b"\n".join([*good, *lines]) + b"\n"


def reasons(dataset):
    return [(record.line, record.reason) for record in dataset.bad]


def contents(dataset):
    return sorted(part.content(row) for part in (dataset.train, dataset.test) for row in range(len(part)))


@pytest.mark.parametrize(("name", "content"), [("csv", csv_of()), ("jsonl", jsonl_of())])
def test_texts_keep_their_labels_and_a_quarter_is_kept_for_evaluation(tmp_path, name, content):
    found = load(tmp_path, name, content)
    assert found.classes == ("no", "yes")
    assert (len(found.train), len(found.test)) == (6, 2)
    for part in (found.train, found.test):
        for row in range(len(part)):
            wanted = dict(GOOD)[part.content(row).decode()]
            assert found.classes[part.targets["label"][row]] == wanted
    assert found.bad == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"caf\xe9,yes", "is not UTF-8"),
        (b"fine,caf\xe9", "is not UTF-8"),
        (b"one column", "has 1 columns, the first line has 2"),
        (b"a,b,yes", "has 3 columns, the first line has 2"),
        (b" ,yes", "the text is empty"),
        (b"text without a label,", "the label is empty"),
        (b'a,"two\nlines"', "the label has a line break or control character"),
        (b"x" * 20_001 + b",yes", "the text has 20001 bytes, more than 20000"),
        (b'"quoted" and not,yes', "is not CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_csv_row_is_left_out_with_its_line(tmp_path, row, reason):
    found = load(tmp_path, "csv", csv_of(row, b"the last one,yes"))
    assert reasons(found) == [(10, reason)]
    assert str(found.bad[0]) == f"{tmp_path}/texts.csv:10: {reason}"
    assert b"the last one" in contents(found)
    assert len(contents(found)) == 9


def test_quoted_lines_count_for_the_rows_after_them(tmp_path):
    found = load(tmp_path, "csv", csv_of(b'"of\nthree\nlines",yes', b",no", b'"again\r\ntwo",yes', b"caf\xe9,no"))
    assert reasons(found) == [(13, "the text is empty"), (16, "is not UTF-8")]
    assert b"of\nthree\nlines" in contents(found)


def test_a_quote_that_is_never_closed_swallows_nothing_silently(tmp_path):
    found = load(tmp_path, "csv", csv_of(b'"no end,yes', b"swallowed,yes"))
    assert reasons(found) == [(10, "is not CSV: unexpected end of data")]


def test_other_columns_and_a_byte_order_mark_do_no_harm(tmp_path):
    rows = [b"\xef\xbb\xbfid,label,text", *(f"{n},{label},{text}".encode() for n, (text, label) in enumerate(GOOD))]
    found = load(tmp_path, "csv", b"\r\n".join(rows))
    assert found.classes == ("no", "yes")
    assert set(contents(found)) == {b"a good text", b"another"}


@pytest.mark.parametrize("first", [b"text,class", b"text,label,text", b"", b'"text"x,label'])
def test_a_csv_file_must_name_its_columns(tmp_path, first):
    with pytest.raises(ExportError, match=r"texts\.csv: line 1: .*; write text,label there"):
        load(tmp_path, "csv", first + b"\na,b\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "caf\xe9", "label": "yes"}', "is not UTF-8"),
        (b'{"text": "\\ud800", "label": "yes"}', "is not UTF-8"),
        (b'["text", "label"]', "is not an object"),
        (b'{"text": "no label"}', "has no label"),
        (b'{"label": "yes"}', "has no text"),
        (b'{"text": null, "label": "yes"}', "text is not a string"),
        (b'{"text": "a", "label": true}', "label is not a string"),
        (b'{"text": "", "label": "yes"}', "the text is empty"),
        (b'{"text": "cut', "is not JSON: Unterminated string starting at: line 1 column 10 (char 9)"),
        (b"9" * 5000, "cannot be read: Exceeds the limit"),
        (b"[" * 100_000, "cannot be read: maximum recursion depth exceeded"),
    ],
)
def test_a_bad_json_line_is_left_out_with_its_number(tmp_path, line, reason):
    found = load(tmp_path, "jsonl", jsonl_of(b"", line, b'{"text": "the last one", "label": "yes"}'))
    ((number, told),) = reasons(found)
    assert number == 10
    assert told.startswith(reason)
    assert len(contents(found)) == 9


def test_numbers_may_be_labels_in_json(tmp_path):
    content = b"".join(b'{"text": "text %d", "label": %d}\n' % (n, n % 2) for n in range(8))
    assert load(tmp_path, "jsonl", content).classes == ("0", "1")


def test_a_file_without_a_usable_record_is_refused_with_the_reasons(tmp_path):
    with pytest.raises(ExportError, match=r"0 classes, 0 and 0 examples; left out: .*texts\.csv:2: the text is empty"):
        load(tmp_path, "csv", b"text,label\n,yes\n")
