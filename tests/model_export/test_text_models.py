"""The text families from data to answers through TensorFlow Serving's C++ loader."""

import json

import numpy as np
import pytest
from bundle_runner import loaded
from image_files import strings

from model_export import registry
from model_export.errors import ExportError

pytestmark = pytest.mark.model

FAMILIES = ("lstm", "attention", "transformer")
ODD = ["", " \n", "👩\u200d🚀 🎉", "Привет, мир! 你好", "wort " * 4000]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def trained(models, family):
    """Folder of a run of the small preset on the sample texts, evaluated."""
    models.evaluation(family)
    return models.run(family)


@pytest.fixture(scope="module")
def answer(models, family, tmp_path_factory):
    """A function (signature, inputs) -> outputs of the exported run."""
    with loaded(models.bundle(family), tmp_path_factory.mktemp("version")) as runner:
        yield runner


def texts(*values):
    return strings(*(value.encode() for value in values))


def example(text):
    from model_export.protos import example_pb2

    message = example_pb2.Example()
    message.features.feature["text"].bytes_list.value.append(text.encode())
    return message.SerializeToString()


def test_the_small_preset_tells_languages_apart(trained):
    found = json.loads((trained / "results.json").read_text())
    assert found["macro_f1"] >= 0.88
    report = (trained / "report" / "report.md").read_text()
    assert "## Mistakes" in report
    assert "| length in characters: short (" in report
    assert "| text | truth | answer | certainty |" in report


def test_a_sentence_gets_its_language_best_first(answer):
    found = answer(
        "serving_default",
        text=texts(
            "Das eingegebene Passwort ist nicht gültig und muss geändert werden.",
            "Le mot de passe n'est pas valide pour cet utilisateur.",
            "Wprowadź poprawną wartość, która nie jest pusta.",
        ),
    )
    assert found["labels"][:, 0].tolist() == [b"German", b"French", b"Polish"]
    assert found["scores"].shape == (3, 5)
    assert found["scores"].dtype == np.float32
    assert found["class_ids"].dtype == np.int32
    assert (np.diff(found["scores"], axis=1) <= 0).all()
    assert (found["scores"].sum(axis=1) <= 1 + 1e-5).all()


def test_classify_gives_the_same_answers(answer):
    sentences = ["Questa pagina non è disponibile.", "", "Siden findes ikke."]
    plain = answer("serving_default", text=texts(*sentences))
    classified = answer("classify", inputs=strings(*map(example, sentences)))
    np.testing.assert_array_equal(classified["classes"], plain["labels"])
    np.testing.assert_array_equal(classified["scores"], plain["scores"])


def test_a_row_does_not_depend_on_its_batch(answer):
    together = answer("serving_default", text=texts("Siden findes ikke.", *ODD))
    assert np.isfinite(together["scores"]).all()
    for row, text in enumerate(["Siden findes ikke.", *ODD]):
        alone = answer("serving_default", text=texts(text))
        np.testing.assert_allclose(together["scores"][row], alone["scores"][0], atol=1e-5)


def test_what_follows_the_last_word_that_is_read_changes_nothing(answer):
    start = "wort eins zwei drei " * 6
    found = answer("serving_default", text=texts(start, start + "une page est disponible"))
    np.testing.assert_allclose(found["scores"][0], found["scores"][1], atol=1e-6)


def test_bytes_that_are_no_text_and_texts_that_are_too_long(answer):
    assert np.isfinite(answer("serving_default", text=strings(b"\xff\xfe\x00 caf\xe9"))["scores"]).all()
    with pytest.raises(ExportError, match="a text has more than 20000 bytes"):
        answer("serving_default", text=strings(b"a" * 20_001))
    assert answer("serving_default", text=strings(b"a" * 20_000))["scores"].shape == (1, 5)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_full_preset_has_the_parameters_of_its_paper(name):
    preset = registry.find(name).preset(registry.FULL)
    network = preset.network(preset.classes)
    assert network.count_params() == preset.parameters
    assert network.input_shape == (None, preset.text.length)
    assert network.output_shape == (None, preset.classes)


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_is_not_read(name):
    """Ids behind the last token are 0; an embedding of 0 that changed must not change the answer."""
    network = registry.find(name).preset(registry.SMALL).network(3)
    words = next(weights for weights in network.weights if tuple(weights.shape) == (5000, 64))
    tokens = np.zeros((2, 24), np.int32)
    tokens[0, :5], tokens[1, :23] = range(2, 7), range(2, 25)
    before = np.asarray(network(tokens))
    values = words.numpy().copy()
    values[0] += 100
    words.assign(values)
    np.testing.assert_allclose(np.asarray(network(tokens)), before, atol=1e-5)


def test_attention_weighs_no_state_of_padding():
    import keras

    from model_export.families.attention import pooled

    tokens, states = keras.Input((4,), dtype="int32"), keras.Input((4, 6))
    network = keras.Model([tokens, states], pooled(tokens, states, 5))
    read = np.array([[5, 6, 0, 0], [0, 0, 0, 0]], np.int32)
    values = np.random.default_rng(0).normal(size=(2, 4, 6)).astype(np.float32)
    before = np.asarray(network([read, values]))
    values[0, 2:] += 3
    after = np.asarray(network([read, values]))
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)
    assert np.isfinite(after).all()
    values[0, 0] += 3
    assert np.abs(np.asarray(network([read, values]))[0] - before[0]).max() > 0.1
