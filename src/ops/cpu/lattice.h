#pragma once

#include "ops/cpu/bank_kernels.h"

namespace signalllm::ops::cpu {

/// The lattice of the shared filters whose correlations with the signal are
/// lo[r] = sum_k lo[k] x[2r + k] and hi[r], or one of 0 stages: where they are
/// not orthonormal to their even shifts and each other within the rounding of
/// A, or have a length without a kernel.
///
/// With pairs (x[2p], x[2p + 1]) the bank is M(z) = sum_j M_j z^-j, M_j the
/// taps 2 (stages - 1 - j) and the next of both filters, and
/// M = S R_n D .. D R_1 with D = diag(1, z^-1). The turn of R_n is what makes
/// the second row of R_n' M_0 vanish; what is left is D times a bank of one
/// stage less. (Vaidyanathan and Hoang, 1988.)
template <class A>
Lattice<A> find_lattice(const A* lo, const A* hi, int64_t taps);

} // namespace signalllm::ops::cpu
