#pragma once

#include "mps/metal/checked.h"
#include "mps/metal/kernel.h"
#include "mps/metal/metal_stdlib.h"
