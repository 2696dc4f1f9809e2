variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-two"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,32}$", var.name))
    error_message = "name must be 2 to 33 letters, digits or hyphens, and start with a letter."
  }
}
