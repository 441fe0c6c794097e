"""The keys that the emulator hands out: how long they sign, and what a rotation does to them."""

from flask_signalr.emulator.exchanged_keys import ExchangedKeys

LIFETIME = 100.0


def test_all_callers_are_given_the_same_key_for_a_while() -> None:
    keys = ExchangedKeys(LIFETIME)

    handed_out = [keys.hand_out(now) for now in (0, 1, 99)]

    assert len(set(handed_out)) == 1


def test_a_key_is_replaced_after_its_lifetime_and_both_sign() -> None:
    """Who fetched the former one a moment ago can use it for as long as everybody else."""
    keys = ExchangedKeys(LIFETIME)
    keys.hand_out(0)
    first = keys.hand_out(99)

    second = keys.hand_out(100)

    assert second != first
    assert keys.find(first.key_id, 198) == first.access_key
    assert keys.find(second.key_id, 198) == second.access_key


def test_a_key_expires_a_lifetime_after_it_was_last_handed_out() -> None:
    keys = ExchangedKeys(LIFETIME)
    keys.hand_out(0)
    key = keys.hand_out(50)

    assert keys.find(key.key_id, 149) == key.access_key
    assert keys.find(key.key_id, 150) is None


def test_nobody_guesses_a_key_that_was_not_handed_out() -> None:
    assert ExchangedKeys(LIFETIME).find("", 0) is None


def test_a_rotation_leaves_the_former_key_its_time() -> None:
    keys = ExchangedKeys(LIFETIME)
    first = keys.hand_out(0)

    keys.rotate()

    assert keys.hand_out(1) != first
    assert keys.find(first.key_id, 99) == first.access_key


def test_a_forgotten_key_signs_no_longer() -> None:
    keys = ExchangedKeys(LIFETIME)
    first = keys.hand_out(0)

    keys.rotate(forget=True)

    assert keys.find(first.key_id, 1) is None


def test_expired_keys_are_not_kept() -> None:
    """An emulator that runs for weeks, or is asked to rotate all the time, does not grow."""
    keys = ExchangedKeys(LIFETIME)

    for now in range(0, 10_000, 50):
        keys.rotate()
        keys.hand_out(now)

    assert len(keys._expiries) <= 3


def test_a_key_is_not_shown() -> None:
    key = ExchangedKeys(LIFETIME).hand_out(0)

    assert key.access_key not in repr(key)
    assert key.key_id in repr(key)
