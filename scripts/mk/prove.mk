# SPDX-License-Identifier: MIT
# Help: Check and prove
#
# Proofs of the arithmetic that everything trusts, and what compilers and checkers can say of mm/.

.PHONY: prove
prove: setup-prove ## prove the arithmetic for all values: proofs/, by z3; about a minute
	$(Q)scripts/prove.py
