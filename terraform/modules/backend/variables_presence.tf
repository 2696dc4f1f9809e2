# Variables for rooms that tell their members who comes and goes.

variable "presence_max_members" {
  type        = number
  description = "Clients in a room of `presence_rooms` up to which members are told names. In a larger room they are told the number alone, every 30 seconds at most."
  default     = 500
  nullable    = false

  validation {
    condition     = var.presence_max_members >= 1 && var.presence_max_members <= 500 && floor(var.presence_max_members) == var.presence_max_members
    error_message = "presence_max_members must be a whole number from 1 to 500, because the names must fit into one item of the table."
  }
}

variable "presence_rooms" {
  type        = list(string)
  description = "Patterns of the rooms that tell their members who comes and goes: a room's name, a name with `*` after it, or `*` alone. Without any there is no queue and no function for them. In a room of N clients with a change in each window, the members are sent N messages per window. Emptying the list takes two applies: the second removes queue and function."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.presence_rooms) <= 20 && alltrue([for pattern in var.presence_rooms : can(regex("^([A-Za-z0-9._-]{1,64}[*]?|[*])$", pattern))])
    error_message = "presence_rooms must be at most 20 patterns of 1 to 64 of the characters A-Z a-z 0-9 . _ -, each with an optional \"*\" after them, or \"*\" alone, and none null."
  }
}

variable "presence_window_seconds" {
  type        = number
  description = "Seconds from a change to its announcement, in rooms of `presence_rooms`. A room announces all changes of a window at once."
  default     = 5
  nullable    = false

  validation {
    condition     = var.presence_window_seconds >= 1 && var.presence_window_seconds <= 900 && floor(var.presence_window_seconds) == var.presence_window_seconds
    error_message = "presence_window_seconds must be a whole number of seconds from 1 to 900, for which SQS can delay a message."
  }
}
