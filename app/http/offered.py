"""A kernel as this service offers it: with the models of what it accepts and answers."""

from dataclasses import dataclass
from typing import Self

from app.http.job_answers import JobAnswers
from app.http.requests import JobRequests
from app.kernel import Kernel, Offer
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Offered:
    """Made once: two models of the same name would both be in the document, under longer ones."""

    offer: Offer
    requests: JobRequests
    answers: JobAnswers

    @classmethod
    def of(cls, offer: Offer, settings: Settings) -> Self:
        return cls(offer, JobRequests(offer, settings), JobAnswers(offer.kernel))

    @property
    def kernel(self) -> Kernel:
        """The kernel itself."""
        return self.offer.kernel
