mock "tfplan/v2" {
  module {
    source = "mock-tfplan-closed.sentinel"
  }
}

test {
  rules = {
    main = true
  }
}
