mock "tfplan/v2" {
  module {
    source = "mock-tfplan-open.sentinel"
  }
}

test {
  rules = {
    main = false
  }
}
