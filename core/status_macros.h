#pragma once
// Early return for absl::Status and absl::StatusOr.

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expr` (an absl::Status) is not OK.
#define STEPCAST_RETURN_IF_ERROR(expr)                    \
  do {                                                    \
    if (::absl::Status status_ = (expr); !status_.ok()) { \
      return status_;                                     \
    }                                                     \
  } while (false)

#define STEPCAST_CONCAT_INNER(a, b) a##b
#define STEPCAST_CONCAT(a, b) STEPCAST_CONCAT_INNER(a, b)

// Evaluates `expr` (an absl::StatusOr<T>); on success assigns its value to `lhs` (which may declare a
// variable), otherwise returns its status from the enclosing function.
#define STEPCAST_ASSIGN_OR_RETURN(lhs, expr) \
  STEPCAST_ASSIGN_OR_RETURN_IMPL(STEPCAST_CONCAT(status_or_, __LINE__), lhs, expr)

#define STEPCAST_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                   \
  if (!result.ok()) {                                     \
    return std::move(result).status();                    \
  }                                                       \
  lhs = *std::move(result)
