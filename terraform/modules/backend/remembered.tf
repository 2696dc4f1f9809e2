# Values of the last apply, for changes that need two applies.
#
# A plan can read an earlier value only from an object that does not change. Each value is therefore part of an object's
# key, and the object keeps the time of its creation. If this plan creates the object, the value was different before.

locals {
  first_apply = terraform_data.first_apply.input == plantimestamp()

  queued_before = (
    !local.first_apply && terraform_data.queued[tostring(var.queued_delivery.enabled)].input == plantimestamp()
    ? !var.queued_delivery.enabled
    : var.queued_delivery.enabled
  )

  shards_read = coalesce(var.shards_read, var.shards_per_room)

  # Numbers as bits, so that seven objects hold any number up to 127. A bit that this plan creates had the other value.
  shards_per_room_bits = { for bit in range(7) : bit => floor(var.shards_per_room / pow(2, bit)) % 2 }
  shards_read_bits     = { for bit in range(7) : bit => floor(local.shards_read / pow(2, bit)) % 2 }

  shards_per_room_before = sum([
    for bit, value in local.shards_per_room_bits :
    pow(2, bit) * (!local.first_apply && terraform_data.shards_per_room["${bit}=${value}"].input == plantimestamp() ? 1 - value : value)
  ])

  shards_read_before = sum([
    for bit, value in local.shards_read_bits :
    pow(2, bit) * (!local.first_apply && terraform_data.shards_read["${bit}=${value}"].input == plantimestamp() ? 1 - value : value)
  ])
}

# It comes last: an apply that stops before is a first one again, or what it left out would look like a change.
resource "terraform_data" "first_apply" {
  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [terraform_data.queued, terraform_data.shards_per_room, terraform_data.shards_read]
}

resource "terraform_data" "queued" {
  for_each = toset([tostring(var.queued_delivery.enabled)])

  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }
}

resource "terraform_data" "queue" {
  count = local.queue_exists ? 1 : 0

  input = { fifo = var.queued_delivery.fifo }

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = !var.queued_delivery.enabled || self.input.fifo == var.queued_delivery.fifo
      error_message = "queued_delivery.fifo must not change while there is a queue, because that would delete the queue with its messages. Apply `queued_delivery = { enabled = false }`, apply it again when the queue is empty, and then turn queued delivery on with the other kind of queue."
    }
  }
}

resource "terraform_data" "shards_per_room" {
  for_each = toset([for bit, value in local.shards_per_room_bits : "${bit}=${value}"])

  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }
}

resource "terraform_data" "shards_read" {
  for_each = toset([for bit, value in local.shards_read_bits : "${bit}=${value}"])

  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }
}

# Terraform updates functions one after the other. So senders must read a partition before a member can be in it, and as
# long as one may be in it.
resource "terraform_data" "shards" {
  input = { per_room = var.shards_per_room, read = local.shards_read }

  lifecycle {
    precondition {
      condition     = local.shards_read >= var.shards_per_room
      error_message = "shards_read must be at least shards_per_room, because senders would miss the members in the other partitions."
    }

    precondition {
      condition     = var.shards_per_room <= local.shards_read_before
      error_message = "shards_per_room must be at most ${local.shards_read_before}, the number of partitions that the functions read now: first apply shards_read = ${var.shards_per_room} with the old shards_per_room, then raise shards_per_room. In one apply, members would join partitions that senders do not read yet."
    }

    precondition {
      condition     = local.shards_read >= local.shards_per_room_before
      error_message = "shards_read must be at least ${local.shards_per_room_before}, the number of partitions that may hold clients: first lower shards_per_room with shards_read = ${local.shards_per_room_before}, and lower shards_read two hours later, when the last of these clients has disconnected."
    }
  }
}
