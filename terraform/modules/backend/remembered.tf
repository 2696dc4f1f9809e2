# What the last apply was told, where a change has to go through two applies.
#
# A plan sees the value of before only where it does not change, so nothing here changes: a value is in the key, and the
# object under it remembers when it was made. One that this very plan makes tells that the value was another one before.

locals {
  first_apply = terraform_data.first_apply.input == plantimestamp()

  queued_before = (
    !local.first_apply && terraform_data.queued[tostring(var.queued_delivery.enabled)].input == plantimestamp()
    ? !var.queued_delivery.enabled
    : var.queued_delivery.enabled
  )

  shards_read = coalesce(var.shards_read, var.shards_per_room)

  # Numbers bit by bit, so that seven objects tell any number up to 127: a bit that this plan makes was the other one.
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

resource "terraform_data" "first_apply" {
  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }
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
      error_message = "queued_delivery.fifo must not change while there is a queue, since that would delete the queue with what it holds. Apply `queued_delivery = { enabled = false }`, apply it again once the queue is empty, and then turn queued delivery on with the other kind of queue."
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

# Functions change one after the other, so the senders have to look at every partition before a member is in it, and for
# as long as one may be.
resource "terraform_data" "shards" {
  input = { per_room = var.shards_per_room, read = local.shards_read }

  lifecycle {
    precondition {
      condition     = local.shards_read >= var.shards_per_room
      error_message = "shards_read must be at least shards_per_room, or senders miss the members in the other partitions."
    }

    precondition {
      condition     = var.shards_per_room <= local.shards_read_before
      error_message = "shards_per_room must be at most ${local.shards_read_before}, which is what the functions read now: first apply shards_read = ${var.shards_per_room} with shards_per_room as it was, then raise shards_per_room. In one apply, members would be written where senders do not look yet."
    }

    precondition {
      condition     = local.shards_read >= local.shards_per_room_before
      error_message = "shards_read must be at least ${local.shards_per_room_before}, the number of partitions in which clients may still be: first lower shards_per_room with shards_read = ${local.shards_per_room_before}, and lower shards_read two hours later, when the last of these clients is gone."
    }
  }
}
