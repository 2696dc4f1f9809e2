# Variables for rooms that keep their messages.

variable "history_generation" {
  type        = number
  description = "Number of the life of all rooms' logs. Raise it after the history table was restored from a backup, and when a pattern matches rooms again that it matched before: positions that clients have are of the earlier life then. It never goes back."
  default     = 1
  nullable    = false

  validation {
    condition     = var.history_generation >= 1 && var.history_generation <= 1000000000 && floor(var.history_generation) == var.history_generation
    error_message = "history_generation must be a whole number from 1 to 1000000000."
  }
}

variable "history_retention_minutes" {
  type        = number
  description = "Minutes that a message is kept at least, in rooms of `history_rooms`. DynamoDB deletes it some hours later, or days."
  default     = 60
  nullable    = false

  validation {
    condition     = var.history_retention_minutes >= 10 && var.history_retention_minutes <= 10080 && floor(var.history_retention_minutes) == var.history_retention_minutes
    error_message = "history_retention_minutes must be a whole number of minutes from 10 to 10080, which are seven days."
  }
}

variable "history_rooms" {
  type        = list(string)
  description = "Patterns of the rooms that number their messages and keep them for clients that return: a room's name, a name with `*` after it, or `*` alone. Without any there is no table for them. A message to such a room takes two writes, or four with an `id`. Emptying the list takes two applies: the second removes the table with all messages."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.history_rooms) <= 20 && alltrue([for pattern in var.history_rooms : can(regex("^([A-Za-z0-9._-]{1,64}[*]?|[*])$", pattern))])
    error_message = "history_rooms must be at most 20 patterns of 1 to 64 of the characters A-Z a-z 0-9 . _ -, each with an optional \"*\" after them, or \"*\" alone, and none null."
  }
}
