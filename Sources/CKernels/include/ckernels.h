#pragma once
// Kernels that Swift cannot express: one header per family.
#include "ckernels_crc32c.h"
#include "ckernels_pages.h"
#include "ckernels_process.h"
#include "ckernels_reserve.h"
#include "ckernels_scan.h"
#include "ckernels_vector.h"
