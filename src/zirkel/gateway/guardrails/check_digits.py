"""The numbers of personal data that prove themselves; see ``lib.recognisers.check_digits``."""

from zirkel.lib.recognisers.check_digits import accept_credit_card, accept_iban

__all__ = ["accept_credit_card", "accept_iban"]
