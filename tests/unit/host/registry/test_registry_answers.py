"""Promotions against spoiled answers: every field, every answer, only errors of ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from support.promotion_fixture import CANDIDATE, NAME, STABLE, PromotionTestbed
from support.registries.fake_registry import HOST, FakeRegistry, response

from vldock.common.errors import InputRefused, VldockError
from vldock.host.errors import RegistryDenied, RegistryFailed
from vldock.host.promotion import log as promotion_log
from vldock.host.promotion.artifacts import LOG_TAG, artifact_tag
from vldock.host.registry.auth import Credentials
from vldock.host.registry.client import sha256

LOGIN = b"<!doctype html><style>p {color: red}</style><title>Sign in</title><p>to the hotel's network &amp; go on"
BODIES = {
    "a login page": LOGIN,
    "nothing": b"",
    "cut JSON": b'{"schemaVersion": 2, "config": {"digest": "sha256:',
    "a list": b"[1, 2]",
    "null": b"null",
    "nested too deep": b"[" * 100_000,
    "no text": bytes(range(256)),
}
VALUES = ("", "-1", "²", "9" * 400, "http://x\r\ny\x1b[31m")
HEADERS = ("Location", "Range", "Content-Length", "Content-Type", "Docker-Content-Digest")
WRONG: tuple[Any, ...] = (None, True, -1, 1.5, 10**30, "", "../../x", [], [None], {}, {"a": 1})
GONE = object()


@pytest.fixture
def testbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PromotionTestbed:
    """A testbed whose registry has the image, its receipt and its log.

    The log need not outlive a power cut.
    """
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    made = PromotionTestbed(tmp_path)
    image = made.image()
    made.promote(image, made.request(made.receipt(image)))
    return made


def variants(value: Any) -> Iterator[Any]:
    """Yield a JSON value with each field replaced by each wrong one, or removed.

    Fields are at any depth.
    """
    yield from WRONG
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        for changed in (GONE, *variants(value[key])):
            other = copy.copy(value)
            if changed is GONE:
                del other[key]
            else:
                other[key] = changed
            yield other


def ends_well(work: Callable[[], object]) -> None:
    """Call `work`; only errors of ours pass, without lines of the registry's own."""
    told = ""
    try:
        work()
    except VldockError as error:
        told = error.render()
    assert all(line.startswith(("error: ", "expected: ", "hint: ")) for line in told.splitlines())
    assert "\x1b" not in told


def spoil(registry: FakeRegistry, number: int, change: Callable[[requests.Response], None]) -> list[requests.Response]:
    """Change the answer to one request; return the list of all answers."""
    answers: list[requests.Response] = []

    def trouble(now: int, request: requests.PreparedRequest) -> requests.Response:
        answers.append(registry._answer(request))
        if now == number:
            change(answers[-1])
        return answers[-1]

    registry.trouble = trouble
    return answers


def whole(testbed: PromotionTestbed) -> bool:
    """Return whether every tag is at a complete image."""
    return all(testbed.registry.is_complete(NAME, digest) for digest in testbed.tags().values())


def every_answer(
    testbed: PromotionTestbed, change: Callable[[requests.Response], None], *, header: str | None = None
) -> int:
    """Promote once per request, its answer changed; return the number of requests.

    Only requests whose answer has `header` count.
    """
    image = testbed.image()
    wish = testbed.request(testbed.receipt(image))
    seen: list[bool] = []
    for number in range(-1, 100):
        if number >= 0 and (number >= len(seen) or not seen[number]):
            continue
        testbed.registry = FakeRegistry()
        with suppress(FileNotFoundError):
            testbed.log.path.unlink()
        answers = spoil(testbed.registry, number, change)
        ends_well(lambda: testbed.promote(image, wish))
        assert whole(testbed)
        if number < 0:
            seen = [header is None or header in answer.headers for answer in answers]
    return sum(seen)


@pytest.mark.parametrize("name", ["a login page", "nothing", "a list", "nested too deep"])
def test_any_answer_may_have_another_body(testbed: PromotionTestbed, name: str) -> None:
    def change(answer: requests.Response) -> None:
        answer.raw.seek(0)
        answer.raw.truncate()
        answer.raw.write(BODIES[name])
        answer.raw.seek(0)

    assert every_answer(testbed, change) > 20


def test_any_answer_may_lack_its_headers(testbed: PromotionTestbed) -> None:
    assert every_answer(testbed, lambda answer: answer.headers.clear()) > 20


@pytest.mark.parametrize("name", HEADERS)
def test_any_answer_may_have_odd_headers(testbed: PromotionTestbed, name: str) -> None:
    for value in VALUES:
        assert every_answer(testbed, lambda answer, value=value: answer.headers.update({name: value}), header=name) > 1  # type: ignore[misc]


@pytest.mark.parametrize("code", [200, 307, 404, 416])
def test_any_answer_may_have_another_status(testbed: PromotionTestbed, code: int) -> None:
    assert every_answer(testbed, lambda answer: setattr(answer, "status_code", code)) > 5


@pytest.mark.parametrize("tag", [CANDIDATE, "receipt", LOG_TAG])
def test_any_field_of_a_manifest_may_be_wrong(testbed: PromotionTestbed, tag: str) -> None:
    image = testbed.tags()[CANDIDATE]
    tag = artifact_tag(image, tag) if tag == "receipt" else tag
    raw, kind = testbed.registry.manifests[NAME, testbed.registry.tags[NAME, tag]]
    made = list(variants(json.loads(raw)))

    for changed in made:
        content = json.dumps(changed).encode()
        testbed.registry.manifests[NAME, sha256(content)] = (content, kind)
        testbed.registry.tags[NAME, tag] = sha256(content)
        wish = testbed.request(tags=(STABLE,))
        ends_well(lambda wish=wish: testbed.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", wish, confirm=False))  # type: ignore[misc]
        ends_well(lambda: testbed.rollback())
    assert len(made) > 50


def test_any_field_of_a_line_of_the_log_may_be_wrong(testbed: PromotionTestbed) -> None:
    good, *_ = testbed.entries()
    told = 0

    for changed in variants(json.loads(good.line())):
        try:
            entries = promotion_log.parse(json.dumps(changed).encode() + b"\n", name="log")
        except InputRefused:
            told += 1
            continue
        both = promotion_log.merge(entries, [good])
        promotion_log.render(both)
        promotion_log.history(both, repository=good.repository, tag=CANDIDATE)
    assert told > 50


NO_TOKEN = BODIES | {
    "no field": b"{}",
    "a token of null": b'{"token": null}',
    "a token of two lines": b'{"token": "a\\r\\nb: c"}',
    "a token of 1": b'{"token": 1}',
}


@pytest.mark.parametrize("said", NO_TOKEN.values(), ids=NO_TOKEN)
def test_an_answer_that_holds_no_token_is_a_registry_error(said: bytes) -> None:
    fake = FakeRegistry()
    challenge = {"WWW-Authenticate": f'Bearer realm="https://{HOST}/token"'}
    fake.trouble = lambda n, request: (
        response(request, 200, said) if "/token" in request.path_url else response(request, 401, headers=challenge)
    )

    with pytest.raises(RegistryFailed, match="no token"):
        fake.remote("a").manifest("tag")


def test_a_token_service_that_is_busy_is_asked_again() -> None:
    fake = FakeRegistry()
    busy = iter([503, 429])
    challenge = {"WWW-Authenticate": f'Bearer realm="https://{HOST}/token"'}

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if "/token" in request.path_url:
            return response(request, next(busy, 200), b'{"token": "tok"}')
        return None if "Authorization" in request.headers else response(request, 401, headers=challenge)

    fake.trouble = trouble
    assert fake.remote("a").manifest("tag") is None


@pytest.mark.parametrize("challenge", ["", "Bearer", 'Bearer realm=""', "Negotiate", 'Bearer realm="ftp://x/"', "\x00"])
def test_a_challenge_that_is_none_is_an_error_of_ours(challenge: str) -> None:
    fake = FakeRegistry()
    fake.trouble = lambda n, request: response(request, 401, headers={"WWW-Authenticate": challenge})
    remote = fake.remote("a")
    remote.http.auth.credentials = Credentials("me", "secret")

    with pytest.raises((RegistryDenied, RegistryFailed)):
        remote.manifest("tag")
