#pragma once
// Kernels that Swift cannot express: one header per family.
#include "ckernels_pages.h"
#include "ckernels_scan.h"
