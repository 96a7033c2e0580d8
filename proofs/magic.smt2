; SPDX-License-Identifier: MIT
;
; The index of an object by multiplication (mw_span_set_magic(), mw_span_product()), for words of any
; width: why it is exact. p = 2^W, s the stride, m = (p - 1) / s + 1 the magic, o an offset with
; o * s <= p. Then the upper word of o * m is q = o / s, and the lower one is below m exactly if the
; remainder r is 0. e is by how much m * s exceeds p: at most s - 1, as m is p / s rounded up.
;
; All of it holds for real numbers that obey these inequalities, so z3 decides it. "; unsat" and
; "; sat" say what each check must answer.
(set-logic QF_NRA)
(declare-const p Real) (declare-const s Real) (declare-const m Real) (declare-const e Real)
(declare-const o Real) (declare-const q Real) (declare-const r Real)
(assert (and (<= 1 s) (<= s p) (<= 0 e) (<= e (- s 1)) (= (* m s) (+ p e))))
(assert (and (<= 0 q) (<= 0 r) (<= r (- s 1)) (= o (+ (* q s) r))))
(define-fun lower () Real (- (* o m) (* q p)))

(push) ; none of it contradicts itself: sat
(assert (and (<= (* o s) p) (>= r 1) (>= q 1) (>= e 1)))
(check-sat) ; sat
(pop)

(push) ; the upper word is q, as the rest is a word: unsat
(assert (<= (* o s) p))
(assert (or (< lower 0) (>= lower p)))
(check-sat) ; unsat
(pop)

(push) ; the beginning of an object: below m
(assert (and (<= (* o s) p) (= r 0) (>= lower m)))
(check-sat) ; unsat
(pop)

(push) ; inside of one: not below m
(assert (and (<= (* o s) p) (>= r 1) (< lower m)))
(check-sat) ; unsat
(pop)

(push) ; wrong on purpose: offsets of any size
(assert (>= lower p))
(check-sat) ; sat
(pop)

(push) ; wrong on purpose: a magic that is rounded up once too often
(assert (and (<= (* o s) p) (>= (+ lower o) p)))
(check-sat) ; sat
(pop)
