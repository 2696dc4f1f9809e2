# Variables of the functions that backends invoke.

variable "kick_enabled" {
  type        = bool
  description = "Whether there is a function that throws out a client, or one connection, for backends that invoke it. With identities, a handshake then writes one item more and checks another one. Turning it off takes two applies."
  default     = false
  nullable    = false
}

variable "kick_principals" {
  type        = set(string)
  description = "Who may kick besides principals of this account with a right of their own: accounts (12 digits), ARNs of roles or users, or services of AWS on behalf of this account, such as `events.amazonaws.com`."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.kick_principals) <= 20 && alltrue([for principal in var.kick_principals : can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]{1,512})|[a-z0-9-]+([.][a-z0-9-]+)*[.]amazonaws[.]com([.]cn)?)$", principal))])
    error_message = "kick_principals must be at most 20 accounts (12 digits), ARNs of their roles or users, or services such as \"events.amazonaws.com\", and none null."
  }
}

variable "publish_enabled" {
  type        = bool
  description = "Whether there is a function that publishes messages to rooms and clients, for backends that invoke it. With identities, a handshake then writes one item more."
  default     = false
  nullable    = false
}

variable "publish_queue_enabled" {
  type        = bool
  description = "Whether that function has a queue, for backends and services that send without waiting for an answer. Turning it off takes two applies: the second removes the queue."
  default     = false
  nullable    = false
}

variable "publisher_principals" {
  type        = set(string)
  description = "Who may publish besides principals of this account with a right of their own, by invoking the function and through the queue: accounts (12 digits), ARNs of roles or users, or services of AWS on behalf of this account, such as `sns.amazonaws.com`."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.publisher_principals) <= 20 && alltrue([for principal in var.publisher_principals : can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]{1,512})|[a-z0-9-]+([.][a-z0-9-]+)*[.]amazonaws[.]com([.]cn)?)$", principal))])
    error_message = "publisher_principals must be at most 20 accounts (12 digits), ARNs of their roles or users, or services such as \"events.amazonaws.com\", and none null."
  }
}
